"""The demo: this machine's Python documentation becomes a datastore, and answers three questions.

The text is the docstrings of the standard library and the descriptions of installed distributions,
so it needs nothing that is not there already.
"""

import ast
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import orjson

from datastore.files.layout import Layout
from datastore.schema import Document
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from pipelines.config import BuildConfig, SourceConfig
from pipelines.execution.executor import ExecutorName, open_executor
from pipelines.execution.progress import for_terminal
from pipelines.jobs.build import Build
from pipelines.jobs.target import check_target
from pipelines.show.answers import answer
from pipelines.show.builds import built
from pipelines.show.terminal import console
from retriever.opening import open_retriever
from serve.answering.answerer import Answerer
from serve.answering.inquiry import Inquiry

QUESTIONS = (
    "What does textwrap.dedent remove?",
    "What does bisect.insort_right do?",
    "What does statistics.median return?",
)
# Packages inside the standard library that are not documentation for its users.
_NOT_FOR_USERS = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "ensurepip",
}
_SHORTEST = 80


def run(store: Path, executor: ExecutorName) -> Answerer:
    """Build the store at `store` (or go on with it) and ask three questions with and without it.

    Gives who answered them: it can be asked more.
    """
    started = time.perf_counter()
    check_target(Layout(store))
    say = console.print
    say("[bold]1. Collecting[/] the standard library's docstrings and installed packages' descriptions")
    with tempfile.TemporaryDirectory() as folder:
        sources = (
            _write(Path(folder) / "stdlib.jsonl", standard_library()),
            _write(Path(folder) / "packages.jsonl", distributions()),
        )
        say(f"[bold]2. Building[/] a datastore at {store}")
        config = BuildConfig(sources=sources, passages_per_shard=512)
        with open_executor(executor) as running:
            manifest = Build(Layout(store), config, running, for_terminal()).run()
    built(store, manifest)
    choice = ReaderChoice()
    say(f"[bold]3. Asking[/] {choice.name}, alone and with the datastore")
    reader = open_reader(choice)
    answerer, alone = Answerer(open_retriever(store), reader), Answerer(None, reader)
    for question in QUESTIONS:
        say()
        say(f"[dim]Without the datastore:[/] {alone.ask(Inquiry(question)).text}", markup=True)
        answer(question, answerer.ask(Inquiry(question)), reader, as_json=False)
    say()
    say(f"Done in {time.perf_counter() - started:.0f} seconds. The datastore lies in {store}. Go on with:")
    say(f'  ralm ask {store} "What does shutil.which do?"')
    say(f'  ralm search {store} "parse command line arguments"')
    say(f"  ralm serve {store} --port 8000")
    return answerer


def _write(path: Path, documents: Iterator[Document]) -> SourceConfig:
    with open(path, "wb") as handle:
        for document in documents:
            record = {"id": document.id, "text": document.text, **document.metadata}
            handle.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    return SourceConfig(path=str(path))


def standard_library() -> Iterator[Document]:
    """A document for each public module, class and function that has a docstring of some length."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        if _NOT_FOR_USERS & set(parts):
            continue
        module = ".".join(part for part in parts if part != "__init__")
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue  # Files that hold bad code on purpose.
        yield from _docstrings(tree, module)


def _docstrings(node: ast.AST, name: str) -> Iterator[Document]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node) or ""
        if len(text) >= _SHORTEST:
            head = f"{name}{_signature(node)}"
            yield Document(name, "", f"{head}\n\n{text}", {"title": name})
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in node.body:
            child_name = getattr(child, "name", "_")
            if not child_name.startswith("_"):
                yield from _docstrings(child, f"{name}.{child_name}")


def _signature(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return f"({ast.unparse(node.args)})"
    return ""


def distributions() -> Iterator[Document]:
    """A document for each installed distribution: its summary and its long description."""
    seen: set[str] = set()
    for found in sorted(metadata.distributions(), key=lambda d: (d.name or "").lower()):
        # A broken installation has no name; one shadowed by another comes twice.
        if not found.name or found.name.lower() in seen:
            continue
        seen.add(found.name.lower())
        fields = found.metadata.json
        summary, description = fields.get("summary", ""), fields.get("description", "")
        text = f"{found.name}: {summary}\n\n{description}".strip()
        if len(text) >= _SHORTEST:
            yield Document(found.name, "", text, {"title": found.name, "version": found.version})
