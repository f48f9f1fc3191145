"""ARCHITECTURE.md and docs/where.md name what is there, and every folder of code stands in the first."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = PROJECT["tool"]["importlinter"]["root_packages"]
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})
# Named in code quotes: paths of files, and names in capitals or with brackets, which stand in some module.
WHERE = (ROOT / "docs" / "where.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT + WHERE, flags=re.DOTALL))


def test_each_file_that_is_named_is_there_and_is_one_alone():
    files = [str(path.relative_to(ROOT)) for path in [*MODULES, *(ROOT / "tests").rglob("*.py")]]
    named = {name for name in QUOTED if re.fullmatch(r"[\w/]+\.py", name)}
    found = {name: [file for file in files if f"/{file}".endswith(f"/{name}")] for name in named}
    assert {name: files for name, files in found.items() if len(files) != 1} == {}


def test_each_folder_that_is_named_is_there():
    folders = {str(path.relative_to(ROOT)) for path in [*FOLDERS, *(ROOT / "tests").rglob("*/")]}
    named = {name.rstrip("/") for name in QUOTED if re.fullmatch(r"(?:[a-z_]+/)+", name)}
    named -= {"docs", "docs/decisions", "tests"} | set(re.findall(r"^  ([a-z-]+)/", TEXT, re.MULTILINE))
    assert {name for name in named if not any(f"/{one}".endswith(f"/{name}") for one in folders)} == set()


def test_names_of_constants_and_classes_stand_in_some_module():
    code = "\n".join(path.read_text(encoding="utf-8") for path in [*MODULES, *(ROOT / "tests").rglob("*.py")])
    names = {name for name in QUOTED if re.fullmatch(r"_?[A-Z]\w{3,}|\w+_\w+", name)}
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


def test_each_folder_of_code_stands_in_the_table_of_rooms():
    rooms = TEXT[TEXT.index("## The rooms") : TEXT.index("## The life of a passage")]
    # The formats' rooms stand in one row.
    of_formats = ROOT / "pipelines" / "readers"
    alone = [path for path in FOLDERS if of_formats not in path.parents]
    assert [str(path) for path in alone if f"`{path.relative_to(ROOT)}/`" not in rooms] == []
    within = [path.name for path in FOLDERS if path.parent == of_formats]
    assert [name for name in within if f"`{name}`" not in rooms] == []


def test_each_folder_of_code_is_installed_says_what_it_knows_and_holds_few_modules():
    names = [str(path.relative_to(ROOT)).replace("/", ".") for path in FOLDERS]
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == names
    for folder in FOLDERS:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))), folder
        assert len([path for path in folder.glob("*.py") if path.stem != "__init__"]) <= 14, folder
