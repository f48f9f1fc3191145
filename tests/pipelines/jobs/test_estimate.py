import gzip
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.errors import RalmError
from pipelines.config import BuildConfig, SourceConfig
from pipelines.jobs import estimate as estimating
from pipelines.jobs.estimate import estimate, foresee
from tests.conftest import build_store
from tests.corpus import documents, write_lines


def config_of(path, **settings):
    return BuildConfig.model_validate({"sources": (SourceConfig(path=str(path)),)} | settings)


@pytest.fixture(autouse=True)
def _sampled(monkeypatch):
    """As large corpora are: those of the tests would be read whole."""
    monkeypatch.setattr(estimating, "_READ_WHOLE", 0)


def test_a_small_corpus_is_read_whole_whatever_is_in_it(tmp_path, monkeypatch):
    monkeypatch.undo()
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(40):
        text = f"The bridge number {number} was built of stone. " * (number + 1)
        (corpus / f"{number:02d}.txt").write_text(text)
    write_lines(corpus / "z.jsonl", [{"text": f"{n} {d['text']}"} for n in range(20) for d in documents()])
    found = estimate(config_of(corpus, split_bytes=4096), workers=1)
    assert found.corpus.documents == found.corpus.sampled_documents == 40 + 20 * len(documents())
    assert found.corpus.passages == build_store(tmp_path / "s", corpus, split_bytes=4096).passages


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Documents in a file, and the store that is built of them."""
    folder = tmp_path_factory.mktemp("built")
    records = [
        d | {"id": f"{d['id']}-{n}", "text": f"{n} {d['text']}"} for n in range(10) for d in documents()
    ]
    path = write_lines(folder / "a.jsonl", records)
    return path, build_store(folder / "store", path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_plan_foresees_what_the_build_makes(tmp_path, built, suffix):
    path, manifest = built
    if suffix:
        path = tmp_path / "a.jsonl.gz"
        path.write_bytes(gzip.compress(built[0].read_bytes()))
    found = estimate(config_of(path, split_bytes=1 << 20), workers=2)
    assert found.corpus.sampled_documents < found.corpus.documents
    for foreseen, built in (
        (found.corpus.documents, manifest.counts["documents"]),
        (found.corpus.passages, manifest.rows),
        (found.corpus.tokens, manifest.counts["tokens"]),
        (found.vector_bytes, manifest.rows * 384 * 2),
    ):
        assert abs(foreseen / built - 1) < 0.15
    assert found.index_key == manifest.index.key
    assert found.seconds > 0


def test_a_plan_foresees_a_corpus_of_long_and_short_documents(tmp_path):
    """Books beside posts: each source by its own documents and bytes."""
    words = [f"word{n}" for n in range(500)]
    books = [{"id": f"b{n}", "text": " ".join(words[n % 7 :] * 4)} for n in range(300)]
    posts = [{"id": f"p{n}", "text": f"{n} posts " + " ".join(words[n % 400 :][:6])} for n in range(8000)]
    paths = [write_lines(tmp_path / name, one) for name, one in (("b.jsonl", books), ("p.jsonl", posts))]
    sources = tuple(SourceConfig(path=str(path)) for path in paths)
    found = foresee(BuildConfig(sources=sources, limit=8000))
    assert found.documents == 8000
    found = foresee(BuildConfig(sources=sources, limit=10**6))
    assert abs(found.documents / 8300 - 1) < 0.1
    # What is embedded to see how fast that is: posts in proportion.
    short = np.mean([len(ids) < 40 for ids in found.sampled_ids])
    assert abs(short - 8000 / found.passages) < 0.15


def test_a_plan_foresees_the_rows_of_a_parquet_file(tmp_path):
    rows = [{"id": str(n), "text": f"{n} {d['text']}"} for n in range(50) for d in documents()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert abs(foresee(config_of(tmp_path / "a.parquet")).documents / len(rows) - 1) < 0.01


def test_a_plan_foresees_the_share_of_a_source(tmp_path):
    records = [d | {"id": f"{d['id']}-{n}"} for n in range(10) for d in documents()]
    path = write_lines(tmp_path / "a.jsonl", records)
    whole, half = (
        foresee(BuildConfig(sources=(SourceConfig(path=str(path), share=share),))) for share in (1.0, 0.5)
    )
    assert abs(half.documents / whole.documents - 0.5) < 0.15


def test_a_plan_foresees_what_filters_keep(tmp_path):
    records = [d | {"id": f"{d['id']}-{n}"} for n in range(10) for d in documents()]
    path = write_lines(tmp_path / "a.jsonl", records)
    length = {"name": "length", "min_chars": 1 + sorted(len(r["text"]) for r in records)[len(records) // 2]}
    found = foresee(config_of(path, filters=[length]))
    assert 0.2 < found.documents / found.documents_read < 0.6
    with pytest.raises(RalmError, match="The filters keep none of the first"):
        foresee(config_of(path, filters=[{"name": "length", "min_chars": 10**6}]))


def test_nothing_to_read_is_nothing_to_plan(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n\n")
    with pytest.raises(RalmError, match=r"from the beginning of any source.*: nothing to plan"):
        foresee(config_of(tmp_path / "a.jsonl"))


def test_a_hub_data_set_needs_a_limit(tmp_path):
    folder = tmp_path / "set"
    write_lines(folder / "train.jsonl", documents())
    with pytest.raises(RalmError, match="give --limit"):
        foresee(config_of(f"hf://{folder}"))
    assert foresee(config_of(f"hf://{folder}", limit=20)).documents == 20


def test_a_dry_run_says_what_is_left_out_and_what_the_encoder_does_not_know(tmp_path, store, ralm):
    shutil.copytree(store, tmp_path / "corpus" / "old")
    write_lines(tmp_path / "corpus" / "thai.jsonl", [{"text": "แมวดำนั่งอยู่บนสะพานหินเก่า ข้างแม่น้ำ"}])
    code, out, _ = ralm("build", tmp_path / "corpus", "--dry-run", "--executor", "local")
    assert code == 0
    assert f"Left out, for they are datastores: {tmp_path}/corpus/old." in out.replace("\n", "")
    assert "Of the tokens of corpus 100.0% are unknown to the encoder" in out.replace("\n", " ")
