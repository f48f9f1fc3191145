"""The documents that people read, taken apart: fenced blocks and their commands, links, headings, code."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What users read. In ARCHITECTURE.md and CONTRIBUTING.md blocks are drawings.
# What was measured is kept as it was: reports are no pages.
_RESULTS = ROOT / "docs" / "results"
PAGES = (
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if _RESULTS not in page.parents),
)
DOCUMENTS = (*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ASSIGNED = re.compile(r"[A-Z_]+=\S*")


@dataclass(frozen=True)
class Block:
    """A fenced block: the page it is on, its line there, its language and what it holds."""

    page: Path
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        """Where to find it."""
        return f"{named(self.page)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command line without variables in front of it, and as it is written."""

    words: tuple[str, ...]
    written: str


def named(page: Path) -> str:
    """A page as people call it."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in _FENCE.finditer(text)
    ]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def codes(page: Path) -> list[str]:
    """What stands between backticks in a page's prose, each on one line."""
    return [" ".join(found[2].split()) for found in _CODE.finditer(prose(page))]


def links(page: Path) -> list[str]:
    """What a page links to within the project."""
    return [link for link in _LINK.findall(_CODE.sub("", prose(page))) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(prose(page))]
    return {heading.replace(" ", "-") for heading in plain}


def commands(block: Block) -> list[Command]:
    """The command lines of a block of a shell."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and _ASSIGNED.fullmatch(words[0]):
            del words[0]
        if words:
            found.append(Command(tuple(words), " ".join(line.split())))
    return found
