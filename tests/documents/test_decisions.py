"""docs/decisions: each decision names the modules that it explains, and these name its page."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("base", "datastore", "retriever", "lm", "serve", "client", "pipelines")
FOLDER = ROOT / "docs" / "decisions"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")


def _explained(page: Path) -> dict[str, list[str]]:
    """The modules that each decision of a page names, by its heading."""
    found = {}
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        assert rest.startswith("Modules: "), f"{page.name}: {heading}"
        found[heading] = re.findall(r"`([^`]+)`", rest.partition("\n\n")[0])
    return found


def test_each_decision_is_a_sentence_and_names_modules_that_are_there() -> None:
    for page in PAGES:
        explained = _explained(page)
        assert explained, page.name
        for heading, modules in explained.items():
            assert heading.endswith("."), f"{page.name}: {heading}"
            assert modules, f"{page.name}: {heading}"
            assert [path for path in modules if not (ROOT / path).is_file()] == [], f"{page.name}: {heading}"


def test_a_module_names_the_pages_of_the_decisions_that_explain_it_and_no_others() -> None:
    pages = {page.name: _explained(page) for page in PAGES}
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        module = str(path.relative_to(ROOT))
        explaining = {
            page for page, of_page in pages.items() if any(module in named for named in of_page.values())
        }
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        pointer = said.partition("Decisions: docs/decisions/")[2]
        assert set(re.findall(r"[\w-]+\.md", pointer)) == explaining, module


def test_the_index_lists_each_page_once() -> None:
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == [page.name for page in PAGES]
