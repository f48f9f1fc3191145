"""What several test files share: a small corpus, a store built from it, one Ray, one reader."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["COLUMNS"] = "200"  # What is printed is compared as a wide terminal shows it.
if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes share the cores: threads of each would wait for those of the others.
    os.environ["OMP_NUM_THREADS"] = "1"

from hypothesis import settings

from datastore.files.layout import Layout
from datastore.generations.manifest import Manifest
from datastore.generations.sweep import Swept
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import PLAIN_READER
from pipelines.config import BuildConfig, SourceConfig
from pipelines.execution.executor import Executor, LocalExecutor, open_executor
from pipelines.execution.progress import BuildProgress, Silent
from pipelines.jobs.add import Addition
from pipelines.jobs.build import Build
from pipelines.jobs.compact import Compaction
from pipelines.jobs.delete import Deletion
from tests.corpus import documents, long_documents, write_lines
from tests.faults import Builder
from tests.objects import CuttingProxy, ObjectServer, Remote, object_server
from tests.parting import Parting, in_order, require_listed

# Thousands of small files are written and synced: in memory that takes no time, and kills and cuts are the
# same.
_IN_MEMORY = Path("/dev/shm")
if _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > 8 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))

# How long an example takes says more of the machine's load than of the code.
settings.register_profile("ralm", deadline=None)
settings.load_profile("ralm")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Parting:
    return Parting(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    require_listed(items)
    if "PYTEST_XDIST_WORKER" in os.environ:
        in_order(items)
    if not torch.cuda.is_available():
        for item in items:
            # Keywords hold the names of folders, too: a checkout may lie in one called gpu.
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no GPU"))


# Why a test may be skipped: the machine cannot run it. Anything else is a test that should have run.
_CANNOT_RUN_HERE = ("no GPU", "no right to mount")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A test that is skipped though it could run here fails the run: nobody reads skip counts."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return  # One of several processes: the one that reports sees the skips of all.
    skipped = [
        report
        for report in reporter.stats.get("skipped", [])
        if not any(reason in str(report.longrepr) for reason in _CANNOT_RUN_HERE)
    ]
    if skipped and exitstatus == 0:
        session.exitstatus = 1
        reporter.write_line(f"{len(skipped)} skipped tests should have run here", red=True)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test corpus as one JSON Lines file."""
    return write_lines(tmp_path_factory.mktemp("corpus") / "towns.jsonl", documents())


def build_store(
    root: Path,
    *sources: Path,
    executor: Executor | None = None,
    progress: BuildProgress | None = None,
    **settings: object,
) -> Manifest:
    """Build a store in this process, unless told otherwise."""
    listed = tuple(SourceConfig(path=str(source)) for source in sources)
    config = BuildConfig.model_validate({"sources": listed} | settings)
    return Build(Layout(root), config, executor or LocalExecutor(), progress or Silent()).run()


def add_to(root: Path, *sources: Path, limit: int | None = None) -> tuple[Manifest, dict[str, int]]:
    """Add sources to a store in this process."""
    listed = tuple(SourceConfig(path=str(source)) for source in sources)
    return Addition(Layout(root), listed, LocalExecutor(), Silent(), limit).run()


def compact(root: Path) -> tuple[Manifest, Swept]:
    """Compact a store in this process."""
    return Compaction(Layout(root), LocalExecutor(), Silent()).run()


def delete(root: Path, *ids: str) -> Manifest:
    """Take documents of a store down by their ids."""
    return Deletion(root, ids).run()[1]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """A store of the test corpus with several splits and shards and an exact index. Not to be changed."""
    root = tmp_path_factory.mktemp("stores") / "towns"
    build_store(root, corpus, split_bytes=4096, passages_per_shard=8)
    return root


@pytest.fixture(scope="session")
def long_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of documents of many chunks, which lie across shards. Not to be changed."""
    root = tmp_path_factory.mktemp("stores") / "long"
    lines = write_lines(root.parent / "long.jsonl", long_documents())
    build_store(root, lines, chunk_tokens=24, passages_per_shard=5, index_key="Flat")
    return root


@pytest.fixture(scope="session")
def builder() -> Iterator[Builder]:
    """What carries out builds that are to be killed."""
    found = Builder()
    yield found
    found.close()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[str]:
    """The address of a service of the store, in this process, with a tiny reader. Its key is "a-key"."""
    from lm.batching import together
    from retriever.local import LocalRetriever
    from serve.admission.keys import Key
    from serve.answering.answerer import Answerer
    from serve.app import create_app
    from serve.settings import ServiceSettings
    from tests.lm.models import tiny_model, tiny_reader
    from tests.services import listening

    folder = tmp_path_factory.mktemp("service")
    tiny = tiny_reader(tiny_model(folder / "tiny", context=4096))
    settings = ServiceSettings(keys=(Key.of("a-key", "tests"),), log=folder / "log.jsonl")
    with listening(
        create_app(Answerer(LocalRetriever.open(store), together(tiny)), settings=settings)
    ) as url:
        yield url


@pytest.fixture
def own_store(tmp_path: Path, store: Path) -> Path:
    """A copy of the store that a test may damage."""
    return Path(shutil.copytree(store, tmp_path / "copy"))


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> TransformersReader:
    """The packaged language model at its default quantization, with its adapter."""
    return TransformersReader()


@pytest.fixture(scope="session")
def plain_reader() -> TransformersReader:
    """The same without an adapter, in float32: what a test computes by hand is its model's."""
    found = TransformersReader(ReaderChoice(PLAIN_READER, "none"))
    found._model.float()
    return found


@pytest.fixture(scope="session")
def two_processes() -> Iterator[Executor]:
    """Two processes that carry out tasks: each takes seconds to import what it needs."""
    with open_executor("local", 2) as found:
        yield found


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray for all tests that need it: starting it takes seconds."""
    import ray

    from pipelines.execution.executor import start_ray

    start_ray(2)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def objects() -> Iterator[ObjectServer]:
    """One S3 server for all tests that need it, which the environment names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with object_server() as server:
            patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
            yield server


@pytest.fixture
def proxy(objects: ObjectServer) -> Iterator[CuttingProxy]:
    """A way to the S3 server that can be cut."""
    between = CuttingProxy(objects.port)
    yield between
    between.close()


@pytest.fixture
def remote(objects: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A store to be made in a new bucket."""

    def machine(number: int) -> None:
        monkeypatch.setenv("RALM_CACHE", str(tmp_path / f"machine-{number}"))

    return Remote(objects, objects.bucket(), machine)


@pytest.fixture
def ralm(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, standard output, standard error."""
    from pipelines.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ralm", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        code = 0
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else 1
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Matrix products as small as those of tests wait longer for a second thread than they take."""
    import faiss
    import torch

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])


def flip(path: Path, at: int = -20) -> None:
    """Damage one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def tree(root: Path) -> dict[str, bytes]:
    """Every file of a store that must be the same after any build of it: nothing measured."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.name != "lock"
        and not path.name.startswith("card.")
        and ".measured." not in path.name
    }


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads for torch and faiss, and an environment that says nothing of threads."""
    import faiss
    import torch

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(2)
    faiss.omp_set_num_threads(2)
    yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])
