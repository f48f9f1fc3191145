"""What README and docs/ show is run, or where this machine cannot run it, checked word by word."""

import functools
import json
import re
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import openai
import pytest
import zstandard
from fastapi.testclient import TestClient

from client.client import Client
from datastore.takedown import Takedowns
from lm.prompts import Prompt
from lm.reader import (
    WHOLE,
    Completion,
    Continuation,
    Likelihood,
    Position,
    Row,
    Sampling,
    TextStream,
    TokenLogprob,
    Windows,
)
from pipelines.config import load_config
from pipelines.evaluate.study.settings import load_study
from pipelines.execution.executor import LocalExecutor
from pipelines.plan.rates import Flags, load_rates
from pipelines.questions import read_questions
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.schemas.cards import CardReply
from serve.schemas.chat import ChatRequest, RetrievalOptions
from serve.schemas.hits import SupportModel
from serve.schemas.responses.request import ResponsesRequest
from serve.schemas.searching import SearchReply, SearchRequest
from tests.conftest import build_store
from tests.corpus import documents, questions, write_lines
from tests.documents.commands import require_options
from tests.documents.markdown import PAGES, ROOT, Block, Command, blocks, commands

BLOCKS = [block for page in PAGES for block in blocks(page)]
# What a command needs that is not here; its flags are checked all the same.
ELSEWHERE = {
    r"s3://": "a bucket",
    r"hf://|intfloat/|facebook/|cross-encoder/": "the hub",
    r"--encoder \./|--reader \./": "a model of the reader's own",
    r"--reader \"?http": "a server of language models",
    r"--device cuda": "a GPU",
    r"RAY_ADDRESS=": "a cluster",
    r"^ralm tune|--adapter my-adapter": "minutes of learning",
    r"^ralm (search|ask) --url": "a service: its own tests have one",
    r"^ralm serve": "a server: its routes are asked in this process",
    r"^ralm mcp": "a tool: it waits for an assistant on its standard input",
}
FORUM = [
    {
        "id": "DOC-17",
        "text": "Nobody on this forum has seen the old bridge.",
        "domain": "forum",
        "year": 2001,
    },
    {"id": "DOC-18", "text": "A forum is no place to ask about glass.", "domain": "forum", "year": 2003},
    {
        "id": "bridge",
        "text": "The old bridge of Arvenholm was built by copper smiths in 1912.",
        "domain": "wikipedia",
        "year": 1912,
        "licence": "CC0",
    },
]


class Echo:
    """A reader that repeats what it is asked: what a page shows is that it is asked, not what it says."""

    name, quantization, adapter, measured_bytes, context_tokens = "echo", "none", None, 1, 8192

    def __init__(self, *_: object) -> None: ...

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def prompt_tokens(self, prompt: Prompt) -> int:
        return self.count_tokens(_last(prompt))

    def generate(self, asked: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        return [Completion(_last(one)[-80:], self.prompt_tokens(one), 80, True) for one in asked]

    def stream(self, asked: Prompt, sampling: Sampling) -> TextStream:
        return TextStream(
            iter(_last(asked).split()), lambda: None, lambda: self.generate([asked], sampling)[0]
        )

    def stop(self) -> None: ...

    def echo(self, prompts: Sequence[Prompt], top: int | None) -> list[tuple[Position, ...]]:
        return [
            tuple(Position(TokenLogprob(0, word.encode(), -1.0)) for word in p.text.split()) for p in prompts
        ]

    start = 0

    def tokens(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def text_of(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    said = text_of

    def ids(self, prompt: Prompt) -> tuple[int, ...]:
        return self.tokens(_last(prompt))

    def vocabulary(self) -> dict[str, str]:
        return {}

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        return [(-1.0,) * len(row.text) for row in rows]

    def loglikelihood(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        return [Likelihood((-1.0,), True, len(one.text.encode())) for one in continuations]

    def loglikelihood_rolling(self, texts: Sequence[str], how: Windows = WHOLE) -> list[Likelihood]:
        return [Likelihood((-1.0,), True, len(one.encode())) for one in texts]


def _last(prompt: Prompt) -> str:
    return prompt.conversation[-1].content if prompt.conversation else prompt.text


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    """A folder with all that the pages' commands name. Not to be changed."""
    folder = tmp_path_factory.mktemp("table")
    # Filters keep what is long enough to judge.
    long = {"id": "long", "text": " ".join(one["text"] for one in documents()[:5])}
    lines = write_lines(folder / "corpus/corpus.jsonl", [*documents(), *FORUM, long])
    shutil.copy(lines, folder / "corpus.jsonl")
    (folder / "corpus.jsonl.zst").write_bytes(zstandard.compress(lines.read_bytes()))
    (folder / "notes").mkdir()
    (folder / "notes/bridge.md").write_text("---\ntitle: A note\n---\nThe old bridge was painted green.\n")
    write_lines(folder / "more.jsonl", [{"id": "new", "text": "A new bridge was built beside the old one."}])
    write_lines(folder / "gone.jsonl", [{"domain": "forum", "id": "DOC-17"}])
    for name in ("questions", "squad", "webq"):
        write_lines(folder / f"{name}.jsonl", questions())
    write_lines(folder / "held-out.jsonl", documents()[:2])
    (folder / "build.yaml").write_text("sources: [{path: corpus/}]\nfilters: [language]\n")
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "study.yaml").write_text("store: my-store\ntasks: questions.jsonl\nfractions: 1\n")
    (folder / "machines.yaml").write_text("gpus: 16\n")
    build_store(folder / "my-store", folder / "corpus.jsonl.zst", folder / "notes")
    for name in ("other-store", "demo-store"):
        shutil.copytree(folder / "my-store", folder / name)
    return folder


@pytest.fixture
def desk(table, tmp_path, monkeypatch) -> Path:
    """A copy of it, where commands are run."""
    folder = Path(shutil.copytree(table, tmp_path / "desk"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("lm.backends.transformers_reader.TransformersReader", Echo)
    # Whoever carries tasks out, the bytes are the same.
    here = LocalExecutor()
    monkeypatch.setattr("pipelines.execution.executor.open_executor", lambda *_: nullcontext(here))
    return folder


@pytest.fixture(scope="module")
def client(table) -> TestClient:
    """The API over the store of the pages."""
    app = create_app(Answerer(LocalRetriever.open(table / "my-store"), Echo()))
    return TestClient(app, base_url="http://localhost:8000")


def named(block: Block) -> str:
    return block.name


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    found = [block for block in BLOCKS if block.kind in kinds]
    return pytest.mark.parametrize("block", found, ids=named)


def test_every_block_is_of_a_kind_that_is_tested():
    known = ("sh", "yaml", "json", "jsonl", "python", "text")
    assert [block.name for block in BLOCKS if block.kind not in known] == []
    # One that is not closed, or stands in a list, would be none.
    for page in PAGES:
        fences = re.findall(r"^\s*(?:```|~~~)", page.read_text(), re.MULTILINE)
        assert len(fences) == 2 * len(blocks(page)), page


def elsewhere(command: Command) -> str | None:
    return next((why for what, why in ELSEWHERE.items() if re.search(what, command.written)), None)


def post(client: TestClient, words: tuple[str, ...]) -> None:
    """Ask the API what a line of curl asks."""
    path = "/" + words[1].split("/", 1)[1]
    assert words[1].startswith("localhost:8000/")
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert set(options) in (set(), {"-H", "-d"})
    if not options:
        reply = client.get(path)
    else:
        name, value = options["-H"].split(": ")
        reply = client.post(path, content=options["-d"], headers={name: value})
    assert reply.status_code == 200, reply.text


@of_kind("sh")
def test_commands_do_what_they_are_shown_for(block, desk, ralm, client):
    makefile = (ROOT / "Makefile").read_text()
    for command in commands(block):
        program, *arguments = command.words
        if program == "ralm":
            require_options(command.words)
            if elsewhere(command) is None:
                if arguments[0] == "build" and "--dry-run" not in arguments:
                    # The store that the pages are about is there already, of other sources.
                    shutil.rmtree(desk / arguments[arguments.index("-o") + 1], ignore_errors=True)
                code, out, err = ralm(*arguments)
                assert code == 0, f"{command.written}: {out}{err}"
        elif program == "curl":
            post(client, command.words)
        elif program == "make":
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in arguments)
        elif program == "serve":  # Ray's: its configs are in deploy/.
            assert all((ROOT / name).is_file() for name in arguments[1:])
        else:
            assert command.words == ("source", ".venv/bin/activate"), command.written


def test_most_commands_are_run_and_every_excuse_is_used():
    found = [one for block in BLOCKS if block.kind == "sh" for one in commands(block)]
    excuses = [elsewhere(one) for one in found if one.words[0] == "ralm"]
    assert {*filter(None, excuses)} == {*ELSEWHERE.values()}
    assert excuses.count(None) > len(excuses) / 2


@of_kind("yaml")
def test_settings_are_valid(block, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(block.text)
    if "sources:" in block.text:
        load_config(file)
    elif "tasks:" in block.text:
        load_study(file)
    else:
        load_rates(file, Flags())


@of_kind("json")
def test_bodies_and_replies_are_those_of_the_api(block, client):
    body = json.loads(block.text)
    if "query" in body:
        SearchRequest.model_validate(body)
        assert client.post("/search", json=body).status_code == 200
    elif "messages" in body:
        ChatRequest.model_validate(body)
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    elif "results" in body:
        assert SearchReply.model_validate(body).model_dump() == body
        asked = {"query": "old bridge", "view": {"domains": ["wikipedia"]}}
        shown = client.post("/search", json=asked).json()
        assert shown["results"][0]["shortfall"] == body["results"][0]["shortfall"]
        assert (list(shown), list(shown["seconds"])) == (list(body), list(body["seconds"]))
        assert list(shown["results"][0]["hits"][0]) == list(body["results"][0]["hits"][0])
    elif "stores" in body:
        assert CardReply.model_validate(body).model_dump() == body
        shown = client.get("/card").json()
        assert (list(shown), list(shown["stores"][0])) == (list(body), list(body["stores"][0]))
    elif "sentence" in body:
        assert SupportModel.model_validate(body).model_dump() == body
    else:
        named = {"x-request-id": body["error"]["request_id"]}
        assert client.post("/search", json={"query": "old bridge", "k": 0}, headers=named).json() == body


@of_kind("jsonl")
def test_lines_are_read_as_what_they_are_shown_for(block, tmp_path):
    lines = [json.loads(line) for line in block.text.splitlines()]
    file = write_lines(tmp_path / "lines.jsonl", lines)
    if all("question" in line for line in lines):
        assert len(read_questions(file).questions) == len(lines)
    elif all("text" in line for line in lines):
        assert build_store(tmp_path / "store", file).counts["indexed"] == len(lines)
    elif all("reason" in line for line in lines):
        twice = [{"id": f"bridge-{n}", "domain": "history", "text": "The old bridge is old."} for n in (1, 2)]
        build_store(tmp_path / "store", write_lines(tmp_path / "twice.jsonl", twice))
        listed = (tmp_path / "store/removed/duplicate_text/00000.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in listed] == lines
    else:
        assert len(Takedowns.read([file]).documents) == len(lines)


@of_kind("python")
def test_python_runs(block, desk, client, monkeypatch, capsys):
    monkeypatch.setattr(openai, "OpenAI", functools.partial(openai.OpenAI, http_client=client))
    monkeypatch.setattr("client.client.Client", functools.partial(Client, http=client))
    monkeypatch.setattr(client, "close", lambda: None)  # It is the other pages', too.
    exec(compile(block.text, block.name, "exec"), {})
    assert capsys.readouterr().out


@of_kind("text")
def test_what_is_shown_is_what_is_printed(block, ralm):
    """Of the tree of folders, below."""
    if block.text.startswith("base/"):
        return
    first, shown = block.text.split("\n", 1)
    assert first.startswith("$ ralm ")
    code, out, _ = ralm(*first.split()[2:])
    assert code == 0
    assert "\n".join(line.rstrip() for line in out.splitlines()).startswith(shown.rstrip())


def test_every_route_and_field_of_chat_stands_in_its_page(client):
    text = "".join(page.read_text() for page in [ROOT / "docs/api.md", *(ROOT / "docs/api").glob("*.md")])
    routes = [
        (method, path) for path, one in client.get("/openapi.json").json()["paths"].items() for method in one
    ]
    assert [(m, p) for m, p in routes if f"`{m.upper()} {p}`" not in text] == []
    named = {*ChatRequest.model_fields, *RetrievalOptions.model_fields, *ResponsesRequest.model_fields}
    assert [name for name in named if f"`{name}`" not in text and f'"{name}"' not in text] == []
    assert [name for name in client.get("/health").json() if f"`{name}`" not in text] == []
