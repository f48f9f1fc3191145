"""Wikitext to plain text: what a reader of the page sees as running text.

Kept are paragraphs, headings, lists, and the words of links. Left out are templates, tables, references,
comments, formulas, galleries, and links to files, categories and other languages.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from base.foreign import Refused, ask
from pipelines.readers.wiki.plain_wikitext import clean
from pipelines.readers.wiki.tangles import is_tangled
from pipelines.readers.wiki.wikitext_names import BREAKING_TAGS, UNSEEN, UNSEEN_TAGS, is_unseen

_QUOTES = re.compile(r"'{2,}")
_MAGIC = re.compile(r"__[A-Z]{3,}__")
_SPACES = re.compile(r"[ \t\xa0]+")
_EMPTY_BRACKETS = re.compile(r" ?\([\s,;:]*\)")
_BLANK_LINES = re.compile(r"\n{3,}")


def plain_text(wikitext: str, unseen: Iterable[str] = ()) -> str:
    """The running text of a page. `unseen` are the wiki's names of files and categories, in small letters.

    One that would take very long to parse is cleaned coarsely. Raises Refused for one that cannot be parsed.
    """
    unseen = UNSEEN.union(unseen)
    text = clean(wikitext, unseen) if is_tangled(wikitext) else _parsed(wikitext, unseen)
    text = _MAGIC.sub("", _QUOTES.sub("", text))
    lines = (_SPACES.sub(" ", line).strip() for line in _EMPTY_BRACKETS.sub("", text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip()


def _parsed(wikitext: str, unseen: frozenset[str]) -> str:
    import mwparserfromhell

    # Bold and italics are taken away as text: their parsing is ambiguous and slow, and they leave nothing.
    return "".join(_render(ask(mwparserfromhell.parse, wikitext, skip_style_tags=True), unseen))


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
    if is_unseen(str(node.title), unseen):
        return
    if node.text is not None:
        yield from _render(node.text, unseen)
    else:
        yield str(node.title).lstrip(":")


def _tag(node: Any, unseen: frozenset[str]) -> Iterator[str]:
    name = str(node.tag).strip().lower()
    if name in UNSEEN_TAGS:
        return
    line_end = "\n" if name in BREAKING_TAGS and not node.wiki_markup else ""
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
