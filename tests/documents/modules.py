"""The map of all modules: what each holds, and which others take what of it.

    python -m tests.documents.modules      writes docs/modules.md anew

Who changes a name finds there who else uses it.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of a module that more than so many others use, folders are named.
MOST = 20
PAGE = ROOT / "docs" / "modules.md"
_HEAD = """# Which modules take what of which?

For whoever changes ralm. Each module stands here with the first line of its docstring. Below it stand those
that take something of it, and what they take; of the tests, those of other modules. A test fails when this
page is behind the code; `make format` writes it anew.
"""

# By file: who takes of it, and which names.
Users = dict[Path, dict[Path, set[str]]]


def rooms(project: Mapping[str, object]) -> list[str]:
    """The folders of code, by the project's settings of import-linter."""
    tool = project["tool"]
    assert isinstance(tool, dict)
    return list(tool["importlinter"]["root_packages"])


def page(folders: list[str]) -> str:
    """The page, of the code as it is."""
    code = sorted(path for room in folders for path in (ROOT / room).rglob("*.py"))
    tests = sorted((ROOT / "tests").rglob("*.py")) + sorted((ROOT / "benchmarks").rglob("*.py"))
    users = _users([*code, *tests])
    parts = [_HEAD]
    for path in code:
        if path.stem != "__init__":
            parts += _entry(path, users[path])
    return "\n".join(parts) + "\n"


def _users(paths: list[Path]) -> Users:
    users: Users = defaultdict(lambda: defaultdict(set))
    for path in paths:
        for module, name in _taken(ast.parse(path.read_text(encoding="utf-8"))):
            if whole := _file(f"{module}.{name}"):
                users[whole][path].add("")
            elif source := _source(module, name):
                users[source][path].add(name)
    return users


def _source(module: str, name: str) -> Path | None:
    """The file that a name comes from: what a package hands on is of one of its modules."""
    if found := _file(module):
        return found
    package = _file(f"{module}.__init__")
    handed = _taken(ast.parse(package.read_text(encoding="utf-8"))) if package else ()
    return next((_file(within) for within, one in handed if one == name), None)


def _taken(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Module and name of each import, those inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, one.name) for one in node.names)
        elif isinstance(node, ast.Import):
            yield from ((one.name, "") for one in node.names)


def _file(module: str) -> Path | None:
    path = ROOT / (module.strip(".").replace(".", "/") + ".py")
    return path if path.is_file() else None


def _entry(path: Path, users: Mapping[Path, set[str]]) -> list[str]:
    told = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    code = [one for one in sorted(users) if not _is_test(one)]
    tests = [one for one in sorted(users) if _is_test(one) and one.stem != f"test_{path.stem}"]
    lines = [f"\n## `{path.relative_to(ROOT)}`\n", " ".join(told.split()), ""]
    lines += _each(code, users) if len(code) <= MOST else _by_folder(code)
    lines += [f"- also tested or measured by {', '.join(map(_link, tests))}"] * bool(tests)
    return lines if lines[-1] else lines[:-1]


def _each(code: list[Path], users: Mapping[Path, set[str]]) -> list[str]:
    return [f"- {_link(one)}: {', '.join(sorted(users[one] - {''})) or 'the module'}" for one in code]


def _by_folder(code: list[Path]) -> list[str]:
    counts = Counter(str(one.relative_to(ROOT).parent) for one in code)
    return [f"- {len(code)} modules: " + ", ".join(f"`{name}/` {count}" for name, count in counts.items())]


def _is_test(path: Path) -> bool:
    return path.relative_to(ROOT).parts[0] in ("tests", "benchmarks")


def _link(path: Path) -> str:
    return f"`{path.relative_to(ROOT)}`"


if __name__ == "__main__":
    import tomllib

    PAGE.write_text(page(rooms(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))))
