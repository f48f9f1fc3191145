"""Benchmarks run for minutes or want a GPU; what they take of ours is there all the same."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").rglob("*.py"))
ROOMS = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT)))
def test_what_a_benchmark_imports_of_ours_is_there(script):
    for node in ast.walk(ast.parse(script.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.module.partition(".")[0] not in ROOMS:
            continue
        module = import_module(node.module)
        missing = [one.name for one in node.names if not hasattr(module, one.name)]
        assert not missing, f"{node.module} has no {missing}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT)))
def test_a_benchmark_says_how_it_is_run(script):
    text = script.read_text()
    if "__main__" in text:
        assert f"python {script.relative_to(ROOT)}" in ast.get_docstring(ast.parse(text))
