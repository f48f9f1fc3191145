import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("datastore", "retriever", "lm", "serve", "pipelines")


def test_every_module_stands_in_the_tree_of_files():
    readme = (ROOT / "README.md").read_text()
    tree = readme[readme.index("\n## The files") : readme.index("\n## Installing")]
    modules = {path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path.stem != "__init__"}
    # Filters are named where people choose them.
    modules -= set((ROOT / "pipelines/filters").iterdir())
    assert [str(path) for path in sorted(modules) if not re.search(rf"\b{path.stem}\b", tree)] == []
