import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

import pytest
import typer

from pipelines.cli import spread
from tests.corpus import documents
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
        *("search", "card", "ask", "serve", "mcp", "key", "tune", "demo", "eval"),
    ]


def test_the_version_is_that_of_what_is_installed(ralm):
    code, out, _ = ralm("--version")
    assert (code, out) == (0, f"ralm {version('ralm')}\n")


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


@pytest.mark.parametrize(
    ("command", "without"),
    [
        (["--help"], "torch numpy pyarrow pydantic"),
        (["search", "--help"], "torch numpy pyarrow"),
        (["eval", "tasks", "--help"], "torch numpy pyarrow lm_eval"),
        (["search", "--url", "nowhere", "x", "-k", "3"], "torch numpy pyarrow faiss fastapi"),
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


@pytest.mark.parametrize(("command", "what"), [("search", "query"), ("ask", "question")])
def test_a_text_without_quotes_is_told_of_them(ralm, command, what):
    code, out, err = ralm(command, "my-store", "who", "built", "it?", "-k", 2)
    assert (code, out) == (2, "")
    assert err == f'ralm: The {what} is one text: put it in quotes, "who built it?".\n'


@dataclass(frozen=True)
class Colours:
    hue: Annotated[str, typer.Option(help="of the light")] = "red"
    light: Annotated[int, typer.Option(help="in lumen")] = 3


def test_a_record_of_options_gives_way_to_its_fields_and_comes_to_the_command_whole():
    came = []

    def shine(place: str, colours: Colours = Colours(hue="blue"), twice: bool = False) -> None:
        came.append((place, colours, twice))

    app = typer.Typer()
    app.command()(spread(shine))
    options = {one.name: one for one in typer.main.get_command(app).params}
    assert list(options)[:4] == ["place", "hue", "light", "twice"]
    assert (options["hue"].help, options["hue"].default) == ("of the light", "blue")
    for arguments in (["here"], ["there", "--light", "7", "--hue", "green", "--twice"]):
        app(arguments, standalone_mode=False)
    assert came == [("here", Colours("blue", 3), False), ("there", Colours("green", 7), True)]


def test_what_no_command_takes_is_refused(ralm):
    for arguments in (("search", "my-store", "x", "--kk", 2), ("status", "my-store", "x")):
        code, _, err = ralm(*arguments)
        assert code == 2
        assert "No such option" in err or "unexpected extra argument" in err
