"""What stands in front of a Markdown text between lines of `---` (YAML) or `+++` (TOML), as metadata.

Nothing in here is an error: what cannot be read as such a block is the text's own, a thematic break or a
table for instance.
"""

import datetime
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

from base.foreign import Refused, ask
from datastore.schema import Scalar
from pipelines.readers.scalars import as_written

# Blocks are a few lines; PyYAML takes a second for so many characters.
_MOST_CHARACTERS = 1 << 16
_BLOCK = re.compile(
    r"(?:---[ \t]*\r?\n(?P<yaml>.*?)^(?:---|\.\.\.)|\+\+\+[ \t]*\r?\n(?P<toml>.*?)^\+\+\+)[ \t]*(?:\r?\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {"true": True, "True": True, "false": False, "False": False}


def split(text: str) -> tuple[dict[str, Scalar], str]:
    """A text's metadata, and the text behind it; no metadata and the same text if it has no such block.

    Scalars are kept as they are written, lists of scalars joined by commas, and nothing that is nested.
    """
    if not text.startswith(("---", "+++")):
        return {}, text
    found = _BLOCK.match(text, 0, _MOST_CHARACTERS)
    if found is None:
        return {}, text
    parse, block = (_yaml, found["yaml"]) if found["yaml"] is not None else (_toml, found["toml"])
    metadata = _parsed(parse, block)
    if metadata is None:
        return {}, text
    return metadata, text[found.end() :].lstrip("\r\n")


def _parsed(parse: Callable[[str], dict[str, Scalar] | None], block: str) -> dict[str, Scalar] | None:
    try:
        return parse(block)
    except (Refused, ValueError, RecursionError):
        return None


def _yaml(block: str) -> dict[str, Scalar] | None:
    """The values of a YAML mapping, None if it is none.

    As nodes, which are text: YAML makes False of the language `no` and 5445 of `1:30:45`, and aliases in
    aliases have no end.
    """
    node = ask(yaml.compose, block, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.MappingNode):
        return None if block.strip() else {}  # `# A heading` between thematic breaks is a YAML comment.
    pairs = ((key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))
    return {key.value: scalar for key, value in pairs if (scalar := _of_node(value)) is not None}


def _of_node(node: yaml.Node) -> Scalar:
    if isinstance(node, yaml.SequenceNode):
        return _joined(_of_node(one) for one in node.value if isinstance(one, yaml.ScalarNode))
    if not isinstance(node, yaml.ScalarNode):
        return None
    value = str(node.value)
    if node.style is not None:  # It stands in quotes or in a block: text, whatever it says.
        return value or None
    if value in _NULLS:
        return None
    return _BOOLEANS.get(value, as_written(value))


def _toml(block: str) -> dict[str, Scalar] | None:
    found: Mapping[str, Any] = ask(tomllib.loads, block, parse_float=as_written)
    if not found and block.strip():
        return None
    return {key: scalar for key, value in found.items() if (scalar := _of_toml(value)) is not None}


def _of_toml(value: Any) -> Scalar:
    if isinstance(value, list):
        return _joined(_of_toml(one) for one in value if not isinstance(one, list))
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool):
        return as_written(str(value))
    return value if isinstance(value, str | float | bool | Decimal) else None


def _joined(values: Iterator[Scalar]) -> Scalar:
    return ", ".join(str(value) for value in values if value is not None) or None
