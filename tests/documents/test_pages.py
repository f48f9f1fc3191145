"""README, ARCHITECTURE.md and docs/ name what there is: links, paths, folders, flags, settings, fields."""

import re
import shlex
from collections.abc import Iterator

import pytest

from lm.backends.quantizations import QUANTIZATIONS
from pipelines.config import BuildConfig, SourceConfig
from pipelines.evaluate.metrics import LIKELIHOODS, READER, RETRIEVAL
from pipelines.filters.rule import Rule
from pipelines.readers.formats import FILE_FORMATS
from serve.schemas import searching
from serve.schemas.searching import SearchReply, SearchRequest
from tests.documents.commands import names, options, require_options
from tests.documents.markdown import DOCUMENTS, PAGES, ROOT, anchors, blocks, codes, links, named

ROOMS = ("base", "datastore", "retriever", "lm", "serve", "client", "pipelines")
# Flags of other programs.
FOREIGN = {"--no-deps", "--help", "--build-arg", "--project-directory"}


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_commands_and_flags_in_prose_are_known(page):
    """Commands as they are, and flags of any of them."""
    flags = options() | FOREIGN
    for code in codes(page):
        if code.startswith("ralm "):
            require_options(tuple(shlex.split(code)))
        assert {word for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)} <= flags, code


def folders() -> set[str]:
    """Every folder of code."""
    found = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    return {str(folder.relative_to(ROOT)) for folder in found}


def test_every_room_stands_in_the_tree_of_readme():
    (tree,) = [block.text for block in blocks(ROOT / "README.md") if block.text.startswith("base/")]
    listed = [line.split()[0].rstrip("/") for line in tree.splitlines()]
    assert sorted(listed) == sorted([*ROOMS, "configs", "deploy", "docs", "tests", "benchmarks"])


def test_every_folder_of_code_is_in_architectures_table():
    """As a row, or named in the row of the folder above."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rows = dict(re.findall(r"^\| `([\w/]+)/` \| (.*) \|$", text, re.MULTILINE))
    assert set(rows) <= folders()
    for folder in folders() - set(rows):
        above, _, name = folder.rpartition("/")
        assert f"`{name}`" in rows[above], folder


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", DOCUMENTS, ids=named)
def test_every_path_of_code_is_there(page):
    """A module may be named by the end of its path; a folder of the project is named from its root."""
    files = [path for path in ROOT.rglob("*.py") if ".venv" not in path.parts]
    for code in codes(page):
        if re.fullmatch(r"[\w/]+\.py", code):
            assert any(f"/{path}".endswith(f"/{code}") for path in files), code
        elif re.fullmatch(r"[\w/.-]+", code) and code.split("/")[0] in {
            *ROOMS,
            "configs",
            "benchmarks",
            "tests",
        }:
            assert (ROOT / code).exists() or "/" not in code, code


def fields_of(page: str) -> set[str]:
    """What stands in backticks in the first column of a page's tables."""
    rows = re.findall(r"^\| (`[^|]+) \|", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([\w/@. -]+)`", row)}


def test_every_setting_filter_and_field_stands_in_a_table():
    filters = {rule.model_fields["name"].default for rule in _leaves(Rule)}
    building = {*BuildConfig.model_fields, *SourceConfig.model_fields, *filters} - {"sources"}
    assert building - fields_of("building.md") == set()
    page = (ROOT / "docs/building.md").read_text()
    assert [name for name in FILE_FORMATS if f"`{name}`" not in page] == []
    replied = {*SearchReply.model_fields, "hits", "exhausted", "shortfall", "missing"}
    assert {*SearchRequest.model_fields, *replied} - fields_of("api.md") == set()


def test_the_limits_of_a_request_stand_on_the_page_of_the_api():
    page = (ROOT / "docs/api.md").read_text()
    limits = (searching.MAX_K, searching.MAX_QUERIES, searching.MAX_DEPTH, searching.MAX_CHARACTERS)
    assert [
        limit for limit in limits if f"up to {limit:,} " not in page and f"up to {limit:,};" not in page
    ] == []


def test_every_quantization_stands_in_its_table():
    assert set(QUANTIZATIONS) - fields_of("readers.md") == set()


def test_every_metric_stands_in_its_table():
    headings = [f"{metric.name}@k" for metric in RETRIEVAL]
    headings += [metric.name for metric in (*READER, *LIKELIHOODS)]
    assert set(headings) - fields_of("measuring.md") == set()


def test_every_command_stands_on_some_page():
    text = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in names() if not re.search(rf"\bralm {name}\b", text)] == []


def _leaves(kind: type[Rule]) -> Iterator[type[Rule]]:
    for one in kind.__subclasses__():
        yield from _leaves(one) if one.__subclasses__() else (one,)
