"""A study of tasks from beginning to end: load, search, ask, compare."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from lm.reader import Reader, card
from pipelines.execution.progress import BuildProgress, Silent
from pipelines.tasks import harness
from pipelines.tasks.finding import Finder
from pipelines.tasks.passages import Passages
from pipelines.tasks.queries import Queries
from pipelines.tasks.results import TaskResults, gains, write
from pipelines.tasks.rolling import Rolling
from pipelines.tasks.study import TaskStudy
from retriever.retriever import Retriever


def run(
    study: TaskStudy, retriever: Retriever | None, reader: Reader, progress: BuildProgress | None = None
) -> TaskResults:
    """Ask the tasks and write the results, if there is a folder for them. `retriever` as `measure` takes it.

    Raises RalmError for what cannot be asked.
    """
    results = measure(study, retriever, reader, progress)
    if study.output is not None:
        write(results, study.output)
    return results


def measure(
    study: TaskStudy, retriever: Retriever | None, reader: Reader, progress: BuildProgress | None = None
) -> TaskResults:
    """Ask the tasks. `retriever` is needed where the study searches.

    Raises RalmError for what cannot be asked.
    """
    harness.require()
    from pipelines.tasks.grounded import GroundedLM

    progress = progress or Silent()
    loaded = harness.load(study)
    model = _model(study, reader, progress)
    passages = rolling = None
    if study.search is not None:
        assert retriever is not None  # Whoever searches has opened a store.
        finder = Finder(retriever, study.search, progress)
        passages = Passages(finder, Queries(loaded.tasks, study.queries), study.budget)
        if any(task.OUTPUT_TYPE == "loglikelihood_rolling" for task in loaded.tasks.values()):
            rolling = Rolling(retriever, finder.search, reader, progress)
    found = harness.evaluate(GroundedLM(model, reader, passages, rolling), loaded, study)
    alone = None
    if study.against_alone:
        alone = harness.evaluate(GroundedLM(model, reader, rolling=rolling), loaded, study)
    basis = _basis(study, reader) | (_retrieval(passages) if passages else {"k": 0})
    if rolling:
        basis["strides"] = asdict(rolling.pace)
    return TaskResults(found, basis, alone, gains(found, alone) if alone else ())


def _model(study: TaskStudy, reader: Reader, progress: BuildProgress) -> Any:
    """The reader as lm-eval's LM, behind its cache if there is to be one."""
    from pipelines.tasks.model import ReaderLM

    model = ReaderLM(reader, progress, study.seed)
    if study.cache is None:
        return model
    from pipelines.tasks.answers import kept

    return kept(model, reader, study.cache, study.seed)


def _basis(study: TaskStudy, reader: Reader) -> dict[str, Any]:
    """What figures depend on, whatever is searched."""
    return {
        "version": version("ralm"),
        "reader": card(reader) | {"context_tokens": reader.context_tokens},
        "chat": study.chat,
        "questions": str(study.questions) if study.questions else None,
        "queries": dict(study.queries),
    }


def _retrieval(passages: Passages) -> dict[str, Any]:
    """What passages depend on, and what became of them."""
    finder, search = passages.finder, passages.finder.search
    return {
        "k": search.k,
        "manifest": finder.retriever.hash,
        "encoder": [one.store.manifest.encoder.for_queries.name for one in finder.retriever.stores.values()],
        "method": asdict(search.method),
        "view": asdict(search.view),
        "budget": passages.budget,
        "instances": {task: asdict(tally) for task, tally in passages.tallies.items()},
    }
