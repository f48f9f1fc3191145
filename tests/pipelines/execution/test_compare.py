"""Nothing that was altered becomes part of a generation: a job compares what it reads, and what it wrote."""

import json
import re
import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import FileInfo
from datastore.generations.generation import current
from datastore.generations.manifest import FileEntry
from datastore.verify import verify
from pipelines.execution.compare import CompareStage
from pipelines.execution.job import Job, discard
from pipelines.jobs.compact import plan
from tests.conftest import add_to, build_store, compact, delete, tree
from tests.corpus import documents, write_lines

FOOT = "This page belongs to the library of the harbour."
SENTENCE = "Everybody who lives in this town knows by heart why the bells are rung."
QUESTION = "Which keeper of the old lighthouse wrote down the names of all ships?"
RECORDS = [one | {"text": f"{one['text']} {SENTENCE}\n{FOOT}"} for one in documents()[:12]]
RECORDS[3]["text"] = f"{QUESTION} {RECORDS[3]['text']}"
# Nearly another one's text.
RECORDS.append(RECORDS[5] | {"id": "like", "text": f"Once more: {RECORDS[5]['text']}"})

# The folders that each job reads, and so compares.
DELETE = ("passages", "deleted", "takedowns", "trained")
CARD = (*DELETE, "vectors", "codes")
COMPACT = (*CARD, "lexical")
ADD = (*CARD, "documents", "passage-hashes", "line-hashes", "near", "contamination")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """What a build with every kind of stage and file is made of: sources and settings."""
    folder = tmp_path_factory.mktemp("sources")
    asked = write_lines(folder / "asked.jsonl", [{"question": QUESTION, "answers": []}])
    listed = write_lines(folder / "gone.jsonl", [{"domain": "travel", "id": "nobody"}])
    return [write_lines(folder / "towns.jsonl", RECORDS)], {
        "duplicate_passages": "drop",
        "duplicate_lines": {},
        "near_duplicates": {},
        "decontaminate": [str(asked)],
        "takedowns": str(listed),
        "index_key": "IVF2,SQ8",
        "chunk_tokens": 24,
        "passages_per_shard": 8,
        "split_bytes": 4096,
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory, sources):
    """Not to be changed."""
    root = tmp_path_factory.mktemp("built") / "s"
    build_store(root, *sources[0], **sources[1])
    return root


@pytest.fixture(scope="module")
def full(tmp_path_factory, built):
    """A store with files of every kind, which hides a document of each shard. Tests leave it as it was."""
    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("full") / "s"))
    delete(root, RECORDS[1]["id"], RECORDS[9]["id"])
    return root


def kind(file):
    path = Path(file.path)
    if path.suffix == ".faiss":
        return "trained"
    return "codes" if ".codes." in path.name else path.parts[0]


def files_of(root, kinds):
    return [file for file in current(Layout(root)).files if kind(file) in kinds]


def read_by(root, folder):
    """Of BM25 what a compaction copies, of others all."""
    found, manifest = files_of(root, [folder]), current(Layout(root))
    groups = plan(manifest, manifest.config["passages_per_shard"])
    copied = {f for group in groups for place in group.places for f in manifest.shards[place].lexical}
    return [file for file in found if folder != "lexical" or (file.bytes and file in copied)]


def flip(path, at, bit=0):
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def run(job, root, tmp_path):
    if job == "delete":
        delete(root, RECORDS[7]["id"])
    elif job == "compact":
        compact(root)
    else:
        text = "A document about nothing that the others tell of, to be added."
        add_to(root, write_lines(tmp_path / "more.jsonl", [{"id": "x", "text": text}]))


JOBS = {"delete": DELETE, "compact": COMPACT, "add": ADD}


@pytest.mark.parametrize(("job", "folder"), [(job, one) for job, read in JOBS.items() for one in read])
def test_a_job_refuses_what_was_altered_and_names_it(tmp_path, full, job, folder):
    @settings(max_examples=3, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def altered(data):
        file = data.draw(st.sampled_from(read_by(full, folder)))
        at, bit = data.draw(st.integers(0, file.bytes - 1)), data.draw(st.integers(0, 7))
        path, before = full / file.path, current(Layout(full))
        flip(path, at, bit)
        try:
            with pytest.raises(RalmError, match=re.escape(str(path))):
                run(job, full, tmp_path)
        finally:
            flip(path, at, bit)
        assert current(Layout(full)) == before
        discard(Layout(full), before)

    altered()


@pytest.mark.parametrize("job", JOBS)
def test_what_a_job_does_not_read_it_carries_with_its_checksum(tmp_path, full, job, monkeypatch):
    monkeypatch.setattr("datastore.opening.FULL_CHECK_BYTES", 0)  # As of a large store.
    root = Path(shutil.copytree(full, tmp_path / "s"))
    others = {kind(file) for file in current(Layout(root)).files} - {*JOBS[job]}
    altered = [file for file in files_of(root, others) if file.bytes]
    assert altered
    for file in altered:
        flip(root / file.path, file.bytes // 2)
    run(job, root, tmp_path)
    left = {file.path for file in current(Layout(root)).files} & {file.path for file in altered}
    assert {path for path in left if any(path in problem for problem in verify(root))} == left
    for file in altered:
        if file.path in left:
            flip(root / file.path, file.bytes // 2)
    assert verify(root) == []


def test_a_build_takes_no_altered_list_of_another_store(tmp_path, full, sources):
    (file, *_) = files_of(full, ["takedowns"])
    flip(full / file.path, 5)
    try:
        with pytest.raises(RalmError, match=re.escape(str(full / file.path))):
            build_store(tmp_path / "s", *sources[0], takedowns=str(full))
    finally:
        flip(full / file.path, 5)
    assert not (tmp_path / "s" / "manifest.json").exists()


def test_a_compaction_that_goes_on_takes_no_altered_shard(tmp_path, full, monkeypatch):
    root = Path(shutil.copytree(full, tmp_path / "s"))

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr("pipelines.jobs.compact.put_files", stop)
        compact(root)
    new = next((root / "vectors").glob(f"{current(Layout(root)).next_shard:05d}.npy"))
    flip(new, 200)
    with pytest.raises(RalmError, match=f"{new.name} is corrupted"):
        compact(root)
    flip(new, 200)
    compact(root)
    assert verify(root) == []


def stage_of(file):
    """What tells files of a stage apart: of each kind one is damaged."""
    return Path(file.path).parent.name, re.sub(r"[0-9-]+", "", Path(file.path).name)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Of files of tasks that fail.
def test_no_stage_goes_on_with_what_was_altered_after_the_stage_before(tmp_path, sources, built, monkeypatch):
    """A bit of every kind of file is flipped as soon as its stage is done; each time the mend is followed."""
    perform, flipped = Job.perform, {}

    def damaging(job, stage):
        markers = perform(job, stage)
        for marker in markers:
            for file in marker.files:
                name = (stage.name, *stage_of(file))
                if name not in flipped and (job.layout.root / file.path).exists():
                    flipped[name] = file.path
                    flip(job.layout.root / file.path, file.bytes // 2)
                    return markers
        return markers

    monkeypatch.setattr(Job, "perform", damaging)
    root, refused = tmp_path / "s", 0
    while True:
        try:
            build_store(root, *sources[0], **sources[1])
            break
        except RalmError as error:
            assert not (root / "manifest.json").exists()
            refused += 1
            named = re.search(r"delete (\S+) and run the same command", str(error))
            if named:
                Path(named[1]).unlink()
            else:
                path = Path(str(error).split(" ")[0])
                flip(path, path.stat().st_size // 2)
    stages = {name[0] for name in flipped}
    assert stages >= {"read", "dedup-id", "near-pair", "near-verify", "lines", "chunk", "thin", "embed"}
    assert len(stages) < refused <= len(flipped)  # A task that is done anew mends all of its files.
    assert tree(root) == tree(built)


@settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_altered_settings_are_refused_before_anything_is_done(begun, data):
    job, root, again = begun[data.draw(st.sampled_from(["add", "compact"]))]
    path = root / "stages" / job / "build.json"
    at, bit = data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7))
    before = path.read_bytes()
    flip(path, at, bit)
    try:
        # What differs in white space alone says the same; that goes on to the first task.
        same = json.loads(path.read_bytes()) == json.loads(before) if readable(path) else False
        with pytest.raises(Stopped if same else RalmError):
            again()
    finally:
        path.write_bytes(before)


class Stopped(Exception):
    """Raised in the place of the first task."""


def readable(path):
    with suppress(ValueError):
        json.loads(path.read_bytes())
        return True
    return False


@pytest.fixture(scope="module")
def begun(tmp_path_factory, full):
    """Jobs that were begun and have done nothing: their names, stores, and what goes on with them."""

    def stop(*_, **__):
        raise Stopped

    found, folder = {}, tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.execution.job.Job.perform", stop)
        patch.setattr("pipelines.execution.job.Job.compare", lambda *_: None)
        for job in ("add", "compact"):
            root = Path(shutil.copytree(full, folder / job / "s"))
            found[job] = (f"0001-{job}", root, partial(run, job, root, folder))
            with suppress(Stopped):
                run(job, root, folder)
        yield found


@pytest.mark.parametrize("file", ["takedowns/000000.jsonl", "contamination/grams.arrow"])
def test_what_a_build_goes_by_is_what_it_was_begun_with(tmp_path, sources, monkeypatch, file):
    def stop(*_):
        raise KeyboardInterrupt

    root = tmp_path / "s"
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr("pipelines.jobs.build.Ingest.embed", stop)
        build_store(root, *sources[0], **sources[1])
    flip(root / file, -20)
    with pytest.raises(RalmError, match=f"{file} is corrupted"):
        build_store(root, *sources[0], **sources[1])


@given(st.data())
@settings(max_examples=40)
def test_an_altered_marker_is_said_or_says_the_same(tmp_path_factory, data):
    layout = Layout(tmp_path_factory.mktemp("marker"))
    marker = Marker({"kept": 12, "documents": 305}, (FileInfo("a/b.npy", 4096, "0123456789abcdef" * 2),))
    layout.mark("read", 0, marker)
    path = layout.marker("read", 0)
    flip(path, data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7)))
    with suppress(RalmError):
        assert layout.done("read", 0) == marker


def test_a_marker_of_before_has_no_checksum(tmp_path):
    layout = Layout(tmp_path)
    layout.marker("read", 0).parent.mkdir(parents=True)
    layout.marker("read", 0).write_text(json.dumps({"counts": {"kept": 1}, "files": [["a", 2, "00"]]}))
    assert layout.done("read", 0) == Marker({"kept": 1}, (FileInfo("a", 2, "00"),))


def test_tasks_take_about_as_many_bytes_in_one_order(tmp_path):
    files = [FileEntry(path=f"{n}", bytes=n << 28, xxh3="") for n in range(5)]
    stage = CompareStage.of("compare", Layout(tmp_path), {*files, *files})
    assert [[file.path for file in group] for group in stage.groups] == [["0", "1", "2"], ["3"], ["4"]]
    assert sum(stage.sizes()) == 10 << 28
