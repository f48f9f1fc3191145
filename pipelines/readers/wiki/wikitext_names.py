"""What of a wiki's page is not shown as running text: tags, and links to some namespaces, by their names."""

import re
from collections.abc import Collection

# Names that every wiki knows beside its own.
UNSEEN = frozenset(("file", "image", "media", "category"))
# fmt: off
UNSEEN_TAGS = frozenset((
    "table", "ref", "references", "math", "chem", "ce", "score", "gallery", "timeline", "imagemap", "graph",
    "mapframe", "templatestyles", "section", "includeonly", "indicator", "hiero", "syntaxhighlight", "source",
))
# fmt: on
BREAKING_TAGS = frozenset(
    ("br", "hr", "p", "div", "li", "dt", "dd", "blockquote", "ul", "ol", "dl", "center")
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*|simple")


def is_unseen(target: str, unseen: Collection[str]) -> bool:
    """Whether a link goes to a namespace of these, or to another language.

    A colon in front shows the link itself, as [[:Category:Rivers]] does.
    """
    space, colon, _ = target.partition(":")
    return bool(colon) and (space.strip().lower() in unseen or bool(_LANGUAGE.fullmatch(space.strip())))
