"""Wikitext to plain text: what a reader of the page sees as running text.

Kept are paragraphs, headings, lists, and the words of links. Left out are templates, tables, references,
comments, formulas, galleries, and links to files, categories and other languages.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.readers.foreign import Refused, ask

# Names that every wiki knows beside its own.
_UNSEEN = frozenset(("file", "image", "media", "category"))
# fmt: off
_UNSEEN_TAGS = frozenset((
    "table", "ref", "references", "math", "chem", "ce", "score", "gallery", "timeline", "imagemap", "graph",
    "mapframe", "templatestyles", "section", "includeonly", "indicator", "hiero", "syntaxhighlight", "source",
))
# fmt: on
_BREAKING_TAGS = frozenset(
    ("br", "hr", "p", "div", "li", "dt", "dd", "blockquote", "ul", "ol", "dl", "center")
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*|simple")
_QUOTES = re.compile(r"'{2,}")
_MAGIC = re.compile(r"__[A-Z]{3,}__")
_SPACES = re.compile(r"[ \t\xa0]+")
_EMPTY_BRACKETS = re.compile(r" ?\([\s,;:]*\)")
_BLANK_LINES = re.compile(r"\n{3,}")


def plain_text(wikitext: str, unseen: Iterable[str] = ()) -> str:
    """The running text of a page. `unseen` are the wiki's names of files and categories, in small letters.

    Raises Refused for a page that cannot be parsed.
    """
    import mwparserfromhell

    # Bold and italics are taken away as text: their parsing is ambiguous and slow, and they leave nothing.
    code = ask(mwparserfromhell.parse, wikitext, skip_style_tags=True)
    text = _MAGIC.sub("", _QUOTES.sub("", "".join(_render(code, _UNSEEN.union(unseen)))))
    lines = (_SPACES.sub(" ", line).strip() for line in _EMPTY_BRACKETS.sub("", text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _render(code: Any, unseen: frozenset[str]) -> Iterator[str]:
    from mwparserfromhell import nodes

    for node in code.nodes:
        if isinstance(node, nodes.Text):
            yield node.value
        elif isinstance(node, nodes.Wikilink):
            yield from _link(node, unseen)
        elif isinstance(node, nodes.ExternalLink):
            yield from _render(node.title, unseen) if node.title is not None else ()
        elif isinstance(node, nodes.Heading):
            yield "\n"
            yield from _render(node.title, unseen)
            yield "\n"
        elif isinstance(node, nodes.Tag):
            yield from _tag(node, unseen)
        elif isinstance(node, nodes.HTMLEntity):
            yield _entity(node)


def _link(node: Any, unseen: frozenset[str]) -> Iterator[str]:
    space, colon, _ = str(node.title).partition(":")
    name = space.strip().lower()
    # A colon in front shows the link itself, as [[:Category:Rivers]] does.
    if colon and (name in unseen or _LANGUAGE.fullmatch(space.strip())):
        return
    if node.text is not None:
        yield from _render(node.text, unseen)
    else:
        yield str(node.title).lstrip(":")


def _tag(node: Any, unseen: frozenset[str]) -> Iterator[str]:
    name = str(node.tag).strip().lower()
    if name in _UNSEEN_TAGS:
        return
    line_end = "\n" if name in _BREAKING_TAGS and not node.wiki_markup else ""
    yield line_end
    if node.contents:
        yield from _render(node.contents, unseen)
        yield line_end


def _entity(node: Any) -> str:
    """The character that an entity stands for; the entity if there is no such character."""
    try:
        found = str(ask(node.normalize))
        found.encode()
    except (Refused, UnicodeEncodeError):
        return str(node)
    return found
