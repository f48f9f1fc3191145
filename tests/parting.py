"""Which files of tests run in one process, one after another, and which of them first, under `pytest -n`.

Knows what files share and which of them take long; nothing of what they test.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

# What takes seconds to start is started in one process and not in each: files by the fixture that they share.
TOGETHER = {
    "builder": (
        "tests/pipelines/jobs/test_build.py",
        "tests/pipelines/jobs/test_add.py",
        "tests/pipelines/jobs/test_compact.py",
        "tests/pipelines/contamination/test_contaminated.py",
        "tests/pipelines/corpus/test_sources.py",
        "tests/pipelines/duplicates/test_lines.py",
        "tests/pipelines/indexing/test_embed.py",
        "tests/pipelines/passages/test_thin.py",
    ),
    "ray_cluster": (
        "tests/pipelines/commands/test_build.py",
        "tests/pipelines/evaluate/study/reading/test_answering.py",
        "tests/pipelines/execution/test_actors.py",
        "tests/pipelines/execution/test_executor.py",
        "tests/pipelines/jobs/test_overlap.py",
        "tests/retriever/cluster/test_retriever.py",
        "tests/retriever/test_several.py",
        "tests/serve/scaled/test_application.py",
        "tests/serve/scaled/test_loss.py",
    ),
    "reader": (
        "tests/benchmarks/test_reading.py",
        "tests/lm/backends/generation/test_prefixes.py",
        "tests/lm/backends/test_transformers_reader.py",
        "tests/serve/answering/test_answerer.py",
    ),
}
# So that none of these is the last, for which the other processes wait.
LONG = (
    "tests/serve/test_app.py",
    "tests/serve/test_server.py",
    "tests/retriever/index/test_probation.py",
    "tests/lm/backends/scoring/test_scorer.py",
    "tests/pipelines/test_cli.py",
    "tests/documents/test_docs.py",
)
_SHARED = {file: name for name, files in TOGETHER.items() for file in files}
_ORDER = [*TOGETHER, *LONG]


def unit(nodeid: str) -> str:
    """The name of what runs in one process with this test: of its file, or of what its file shares."""
    file = nodeid.partition("::")[0]
    return _SHARED.get(file, file)


def in_order(items: list[pytest.Item]) -> None:
    """Put first what takes longest; xdist hands units out in the order of their tests."""
    ranks = {name: rank for rank, name in enumerate(_ORDER)}
    items.sort(key=lambda item: ranks.get(unit(item.nodeid), len(ranks)))


def require_listed(items: Iterable[pytest.Item]) -> None:
    """Raise UsageError for a file that uses what only some files may start, and for one that there is not."""
    root = Path(__file__).parents[1]
    if gone := [file for file in (*_SHARED, *LONG) if not (root / file).is_file()]:
        raise pytest.UsageError(f"{__name__} lists {', '.join(gone)}, which is no file.")
    for item in items:
        used = TOGETHER.keys() & {*getattr(item, "fixturenames", ())} - {"reader"}
        if used and item.nodeid.partition("::")[0] not in _SHARED:
            raise pytest.UsageError(f"{item.nodeid} uses {', '.join(used)}: list its file in {__name__}.")


class Parting(LoadScopeScheduling):
    """Hands out units in the order of their tests."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
