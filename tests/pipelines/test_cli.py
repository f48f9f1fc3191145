import errno
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from tests.conftest import build_store, tree
from tests.corpus import documents, questions, write_lines
from tests.pipelines.readers.office import book, pdf, word


def test_build_status_verify_search(tmp_path, corpus, ralm):
    store = tmp_path / "store"
    code, out, err = ralm("build", corpus, "-o", store, "--executor", "local", "--index-key", "IVF4,SQ8")
    assert code == 0
    assert "documents indexed" in out
    assert "embed  done in" in err
    code, out, _ = ralm("status", store)
    assert code == 0
    assert "Published: generation 1, 40 passages" in out
    code, out, _ = ralm("verify", store)
    assert (code, "is whole" in out) == (0, True)
    code, out, _ = ralm("search", store, "Who makes blue glass?", "-k", 2)
    assert "Dunmarrow" in out.splitlines()[0]
    code, out, _ = ralm("search", store, "Who makes blue glass?", "-k", 2, "--json")
    found = json.loads(out)
    assert next(hit["doc_id"].split("-")[0] for hit in found["hits"]) == "Dunmarrow"
    written = {record["id"]: record["text"] for record in documents()}
    assert all(hit["text"] == written[hit["doc_id"]] for hit in found["hits"])


def test_a_build_that_drops_what_is_repeated_or_asked(tmp_path, corpus, ralm):
    store, asked = tmp_path / "store", write_lines(tmp_path / "q.jsonl", questions())
    what = ["--duplicate-lines", "--duplicate-passages", "drop", "--decontaminate", asked]
    code, out, _ = ralm("build", corpus, "-o", store, "--executor", "local", "--limit", 3, *what)
    assert code == 0
    for row in ("repeated lines, left out", "dropped: duplicate", "dropped: contaminated", "for q.jsonl"):
        assert row in out
    code, _, err = ralm("build", corpus, "-o", tmp_path / "other", "--duplicate-passages", "some")
    assert code == 2
    assert "duplicate_passages must be 'keep' or 'drop', not 'some'" in err
    both = ["--duplicate-text", "keep", "--near-duplicates"]
    code, _, err = ralm("build", corpus, "-o", tmp_path / "other", *both)
    assert code == 2
    assert "duplicate_text: keep cannot stand beside near_duplicates" in " ".join(err.split())


def test_a_build_on_ray_from_the_command_line(tmp_path, corpus, store, ralm, ray_cluster):
    config = tmp_path / "build.yaml"
    config.write_text(
        json.dumps({"sources": [{"path": str(corpus)}], "split_bytes": 4096, "passages_per_shard": 8})
    )
    assert ralm("build", "--config", config, "-o", tmp_path / "store")[0] == 0
    assert tree(tmp_path / "store") == tree(store)


def test_a_folder_of_what_people_have(tmp_path, ralm):
    folder, store = tmp_path / "docs", tmp_path / "store"
    folder.mkdir()
    (folder / "table.csv").write_text("title;body;year\nRope;Rope is made in Bralgate, by hand.;1910\n")
    (folder / "note.md").write_text("---\ntitle: Glass\n---\nBlue glass is blown in Dunmarrow.\n")
    (folder / "bridge.pdf").write_bytes(pdf(["The stone bridge was built in 1787."], info="/Title (Bridges)"))
    (folder / "locked.pdf").write_bytes(pdf(["secret"], password="secret"))
    (folder / "mayor.docx").write_bytes(word(lambda d: d.add_paragraph("The mayor is chosen by lot.")))
    (folder / "book.epub").write_bytes(book("<p>The reservoir was emptied in 1907.</p>", title="Water"))
    (folder / "slides.pptx").write_bytes(b"")
    options = ("--text-field", "text", "--text-field", "body", "--executor", "local")
    code, out, _ = ralm("build", folder, "-o", store, "--dry-run", *options)
    assert (code, "1 .pptx" in " ".join(out.split())) == (0, True)
    code, out, _ = ralm("plan", folder, "--text-field", "body")
    assert (code, "1 .pptx" in " ".join(out.split())) == (0, True)
    code, out, _ = ralm("build", folder, "-o", store, *options)
    assert (code, "1 .pptx" in " ".join(out.split())) == (0, True)
    assert "the PDF is encrypted" in next((store / "removed" / "unreadable").glob("*.jsonl")).read_text()
    for query, name, metadata in (
        ("rope", "docs/table.csv:2", {"title": "Rope", "year": 1910}),
        ("glass", "docs/note.md", {"title": "Glass"}),
        ("bridge", "docs/bridge.pdf", {"title": "Bridges", "pages": 1}),
        ("mayor", "docs/mayor.docx", None),
        ("reservoir", "docs/book.epub", {"title": "Water"}),
    ):
        code, out, _ = ralm("search", store, query, "-k", 1, "--method", "bm25", "--json")
        (hit,) = json.loads(out)["hits"]
        assert (code, hit["doc_id"]) == (0, name)
        assert metadata is None or hit["metadata"] == metadata
    assert ralm("verify", store)[0] == 0


def test_ask_with_and_without_retrieval(store, ralm):
    code, out, _ = ralm("ask", store, "How is the mayor of Bralgate chosen?", "--json")
    assert code == 0
    found = json.loads(out)
    assert "by lot" in found["answer"]
    assert any(c["cited"] and f"[{c['number']}]" in found["answer"] for c in found["citations"])
    assert found["reader"]["bytes"] > 1e8
    code, out, _ = ralm("ask", store, "How is the mayor of Bralgate chosen?", "--no-retrieval")
    assert code == 0
    assert "by lot" not in out


def test_a_dry_run_plans_and_writes_nothing(tmp_path, corpus, ralm):
    code, out, _ = ralm("build", corpus, "-o", tmp_path / "store", "--dry-run")
    assert code == 0
    assert "passages" in out
    assert "time on" in out
    assert not (tmp_path / "store").exists()
    code, out, _ = ralm("build", corpus, "-o", tmp_path / "store", "--dry-run", "--index-key", "IVF4096,SQ8")
    assert code == 0
    assert "would be refused: IVF4096,SQ8 has 4,096 lists and only" in out


@pytest.fixture
def filled(tmp_path, corpus, store):
    """Arguments, with the places that they name in braces."""
    return lambda arguments: [a.format(tmp=tmp_path, corpus=corpus, store=store) for a in arguments]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["build", "nowhere", "-o", "{tmp}/s"], "There is no source nowhere"),
        (["build", "-o", "{tmp}/s"], "name files or folders, or a --config"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--encoder", "no/such"], "no encoder 'no/such'"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--index-key", "IVFPQ"], "valid keys are auto, Flat"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--index-memory", "much"], "is not a size"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--limit", "0"], "limit must be at least 1, not 0"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--executor", "spark"], "valid are auto, ray and local"),
        (["build", "--config", "{tmp}/none.yaml", "-o", "{tmp}/s"], "no configuration file"),
        (["build", "--config", "{corpus}", "--domain", "x", "-o", "{tmp}/s"], "--domain is for sources"),
        (["build", "{corpus}", "-o", "{corpus}"], "is a file"),
        (["status", "{tmp}/none"], "no datastore"),
        (["verify", "{tmp}"], "holds no finished datastore"),
        (["search", "{tmp}/none", "x"], "no datastore"),
        (["search", "{store}", "x", "-k", "0"], "k must be at least 1"),
        (["search", "{store}", "x", "--nprobe", "3"], "has no lists to probe"),
        (["search", "{store}", "x", "--recall", "1.1"], "must be in (0, 1], not 1.1"),
        (["search", "{store}", "x", "--recall", "0.9", "--depth", "3"], "give either recall, or those two"),
        (["search", "{store}", "x", "--fusion", "sum"], "valid are rrf, weighted"),
        (["search", "{store}", "x", "--diversity", "2"], "diversity must be between 0 and 1"),
        (["search", "{store}", " "], "The query is empty"),
        (["ask", "{store}", " ", "--no-retrieval"], "The query is empty"),
        (["search", "{store}", "x\udcff"], "bytes that are no text: write it in UTF-8"),
        (
            ["search", "{store}", "x", "--decontaminate", "rouge"],
            "valid are containment, overlap and jaccard",
        ),
        (["ask", "{store}", "x", "-k", "0"], "at least 1, not 0: --no-retrieval asks the LM alone"),
        (["serve", "{store}", "--partial"], "give --searchers too"),
        (["search", "{store}", "x", "--where", "year"], "such as year>=2010"),
        (["search", "{store}", "x", "--where", "age>3"], "metadata column 'age': there are"),
        (["search", "{store}", "x", "--domain", "none"], "has the domain 'none': there are"),
        (["search", "{store}", "x", "--method", "sparse"], "valid are dense, bm25, hybrid"),
        (["search", "{store}", "x", "--fraction", "0"], "fraction must be above 0"),
        (["search", "{store}", "x", "--method", "hybird"], "did you mean hybrid?"),
        (["search", "{store}", "x", "--where", "yaer>3"], "did you mean year?"),
        (["search", "{store}", "x", "--domain", "Travel"], "did you mean travel?"),
        (["search", "{store}", "x", "--where", "year=>3"], "did you mean year>=3?"),
        (["search", "{store}", "x", "--where", "year>=NaN"], "compares with no number"),
        (["ask", "{store}", "x", "--reader", "SmolLM2-135M-Instuct"], "did you mean SmolLM2-135M-Instruct?"),
        (["ask", "{store}", "x", "--quantization", "nf-4"], "did you mean nf4?"),
        (["build", "{corpus}", "-o", "{tmp}/s", "--filter", "gopher_qualty"], "did you mean gopher_quality?"),
        (
            ["build", "{corpus}", "-o", "{tmp}/s", "--encoder", "all-MiniLM-L6"],
            "did you mean all-MiniLM-L6-v2?",
        ),
        (["build", "{corpus}", "-o", "{tmp}/s", "--executor", "locale"], "did you mean local?"),
        (["card", "{store}", "--questions", "{tmp}/none"], "no question file"),
        (["search", "{store}", "x", "--encoder", "other"], "no encoder 'other'"),
        (["ask", "{store}", "x", "--reader", "no/such"], "no reader 'no/such'"),
        (["ask", "{store}", "x", "--quantization", "int2"], "valid are none, int8"),
        (["build", "{corpus}", "-o", "{corpus}/s"], "a file stands in its way"),
        (["demo", "-o", "{tmp}/s", "--executor", "spark"], "valid are auto, ray and local"),
        (["serve", "{store}", "--port", "99999"], "choose --port"),
        (["eval", "scaling", "{store}", "--questions", "{tmp}/none", "-o", "{tmp}/o"], "no question file"),
        (
            ["eval", "scaling", "{store}", "--questions", "x", "-o", "y", "--fractions", "a"],
            "list of numbers",
        ),
        (
            ["eval", "scaling", "{store}", "--questions", "x", "-o", "y", "--fractions", "2"],
            "fraction must be",
        ),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(tmp_path, filled, ralm, arguments, sentence):
    code, out, err = ralm(*filled(arguments))
    assert code == 2
    assert sentence in err
    assert "Traceback" not in out + err
    assert len([line for line in err.splitlines() if not line.startswith("Loading ")]) == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["-k", "0"],
        ["--recall", "3"],
        ["--recall", "0.9", "--nprobe", "2"],
        ["--nprobe", "3"],
        ["--depth", "-1"],
        ["--where", "age>3"],
        ["--domain", "none"],
        ["--method", "sparse"],
        ["--fusion", "sum"],
        ["--near-duplicates", "2"],
    ],
)
def test_a_search_is_refused_before_anything_is_loaded(ralm, store, monkeypatch, options):
    monkeypatch.setattr("pipelines.commands.stores.open_stores", lambda *_: pytest.fail("loaded"))
    code, _, err = ralm("search", store, "x", *options)
    assert (code, len(err.splitlines())) == (2, 1)


def test_help_and_light_commands_do_not_import_torch():
    script = (
        "import sys; sys.argv = ['ralm', '--help']\n"
        "from pipelines.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'ray' not in sys.modules, 'heavy'\n"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_commands_are_listed_in_the_order_in_which_they_are_needed(ralm):
    _, out, _ = ralm("--help")
    listed = [line.split()[1] for line in out.partition("Commands")[2].splitlines() if line.startswith("│ ")]
    assert listed == [
        *("build", "plan", "add", "delete", "compact", "discard", "sweep", "status", "verify"),
        *("search", "card", "ask", "serve", "demo", "eval"),
    ]


def test_search_in_a_view_by_a_recall(ralm, store):
    code, out, _ = ralm(
        "search", store, "blue glass", "--domain", "travel", "--where", "title=Dunmarrow", "-k", "9",
        "--recall", "0.9", "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert {hit["doc_id"] for hit in found["hits"]} == {"Dunmarrow-1", "Dunmarrow-3"}
    assert found["exhausted"]
    assert set(found["seconds"]) == {"encode", "propose", "rescore", "words", "fuse", "passages"}


def test_several_stores_are_searched_as_one(ralm, store, own_store):
    code, out, _ = ralm("search", store, "blue glass", "--also", own_store, "-k", 3, "--json")
    assert code == 0
    assert {hit["store"] for hit in json.loads(out)["hits"]} <= {store.name, own_store.name}
    code, out, _ = ralm("search", store, "blue glass", "--also", own_store, "-k", 3)
    assert f"{own_store.name}, row" in out


def test_a_store_that_a_view_leaves_out_is_named(ralm, tmp_path, store):
    own = {"id": "x", "text": "a text that tells a shelf, which no other has", "shelf": 3}
    build_store(tmp_path / "shelved", write_lines(tmp_path / "own.jsonl", [own]))
    asked = ("search", store, "a text", "--also", tmp_path / "shelved", "--where", "shelf=3")
    _, out, _ = ralm(*asked)
    assert f"{store.name} has no such domain or column: nothing of it is in this view." in " ".join(
        out.split()
    )
    _, out, _ = ralm(*asked, "--json")
    assert json.loads(out)["left_out"] == [store.name]


def test_passages_that_hold_the_question_can_be_left_out(ralm, store):
    _, out, _ = ralm("search", store, "blue glass", "-k", 1, "--json")
    (held,) = json.loads(out)["hits"]
    question = " ".join(held["text"].split()[:12])
    _, out, _ = ralm("search", store, question, "-k", 1, "--json")
    assert question in " ".join(json.loads(out)["hits"][0]["text"].split())
    _, out, _ = ralm("search", store, question, "-k", 1, "--json", "--decontaminate", "containment")
    assert question not in " ".join(json.loads(out)["hits"][0]["text"].split())


def test_the_version_is_that_of_what_is_installed(ralm):
    code, out, _ = ralm("--version")
    assert (code, out) == (0, f"ralm {version('ralm')}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "cuda"), "finds no GPU here"),
        (("--index-in", "disk", "--nprobe", 3), "has no lists"),
    ],
)
def test_a_place_that_is_none_is_a_sentence(ralm, store, monkeypatch, options, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = ralm("search", store, "blue glass", *options)
    assert code == 2
    assert message in err


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EROFS, errno.ENAMETOOLONG])
@pytest.mark.parametrize("path", ["deep/file", None])
def test_what_the_system_refuses_is_one_sentence(ralm, store, monkeypatch, number, path):
    def refuse(_):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("datastore.verify.verify", refuse)
    code, out, err = ralm("verify", store)
    assert (code, out) == (2, "")
    assert err.startswith(f"ralm: {path or 'The system refuses'}")
    assert err.count("\n") == 1


def test_a_pipe_as_a_source_is_one_sentence(ralm, tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    code, _, err = ralm("build", tmp_path / "a.jsonl", "-o", tmp_path / "s", "--executor", "local")
    assert code == 2
    assert "is no file but a pipe" in err


@pytest.mark.parametrize(
    ("command", "without"),
    [
        (["--help"], "torch numpy pyarrow pydantic"),
        (["search", "--help"], "torch numpy pyarrow"),
        (["search", "{store}", "glass", "-k", "0"], "torch faiss scipy bm25s"),
        (["search", "{store}", "blue glass", "--method", "bm25"], "torch faiss scipy bm25s sklearn"),
        (
            ["search", "{store}", "blue glass", "--method", "bm25", "--also", "{other}"],
            "torch faiss scipy bm25s",
        ),
        (["search", "{store}", "blue glass"], "scipy sklearn torch._dynamo sympy"),
        (["status", "{store}"], "torch"),
        (["build", "nowhere.jsonl", "-o", "{store}-2"], "torch"),
    ],
)
def test_a_command_imports_what_it_needs(store, tmp_path, command, without):
    """Seconds of imports are what a short command would take longest for."""
    shutil.copytree(store, tmp_path / "other")
    words = [word.format(store=store, other=tmp_path / "other") for word in command]
    heavy = f"{without} transformers sentence_transformers ray"
    script = f"""
import sys
sys.argv = {["ralm", *words]!r}
from pipelines.cli import main
try:
    main()
except SystemExit:
    pass
print(*{{*{heavy.split()!r}}} & {{*sys.modules}}, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == ""
