"""The list of stages, and a stage that is added to it: a class and a line."""

from dataclasses import dataclass
from typing import ClassVar

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.generation import current
from datastore.shard import open_passages
from datastore.verify import verify
from pipelines.corpus.ingestion import IngestStage
from pipelines.execution.counts import Shown
from pipelines.execution.progress import Silent
from pipelines.indexing.embed import IN_PARTS, EmbedStage, JoinStage
from pipelines.jobs import stages
from pipelines.jobs.status import begun, status
from pipelines.passages.shards import NumberedShard, numbered
from tests.conftest import add_to, build_store
from tests.corpus import documents, write_lines

EVERY = {"near_duplicates": {}, "duplicate_lines": {}, "duplicate_passages": "drop", "split_bytes": 2048}


@dataclass(frozen=True)
class CharactersStage(IngestStage):
    """Counts the characters of each shard's passages."""

    name: ClassVar[str] = "count-characters"
    unit: ClassVar[str] = "passages"
    counts: ClassVar[bool] = True
    shows: ClassVar[tuple[Shown, ...]] = (Shown("characters", "characters of all passages"),)
    layout: Layout
    shards: tuple[NumberedShard, ...]

    @classmethod
    def of(cls, ingestion):
        return cls(ingestion.layout, numbered(ingestion))

    def sizes(self):
        return [shard.rows for shard in self.shards]

    def run(self, number):
        texts = open_passages(self.layout.passages(self.shards[number].number)).column("text").to_pylist()
        return Marker({"characters": sum(map(len, texts))})


def test_names_are_each_stages_own_and_every_stage_says_what_it_counts():
    assert len({*stages.STAGES}) == len(stages.STAGES) == len(stages.INGESTING) + 4
    assert all(stage.unit for stage in stages.INGESTING)
    names = {stage.name for stage in stages.INGESTING}
    assert {s.replaces for s in stages.INGESTING} | {s.beside for s in stages.INGESTING} <= {*names, ""}


def test_tasks_are_as_many_as_a_stage_made_for_a_store_has(tmp_path, corpus):
    """Those that are known beforehand, too; of what was recorded alone, as `ralm status` has it."""
    for name, settings in (("plain", {"index_key": "Flat"}), ("every", EVERY)):
        build_store(tmp_path / name, corpus, **settings)
        ingestion = begun(Layout(tmp_path / name))
        for stage in stages.INGESTING:
            done = len(list((tmp_path / name / "stages").glob(f"{stage.name}/*[0-9].json")))
            assert (stage.tasks(ingestion) if stage.asked(ingestion) else 0) == done


def test_early_jobs_embedded_whole_shards(own_store):
    layout = Layout(own_store)
    layout.write_settings(layout.read_settings() | {"work": IN_PARTS - 1})
    early = begun(layout)
    assert EmbedStage.tasks(early) == len(current(layout).shards)
    assert not JoinStage.asked(early)
    assert "join" not in [stage.name for stage in status(own_store).stages]


class Told(Silent):
    """Remembers which stages were shown."""

    def __init__(self):
        self.stages = []

    def start(self, stage, unit, total, done):
        self.stages.append((stage, unit, total))


def test_a_new_stage_is_a_class_and_a_line(tmp_path, monkeypatch):
    for name, one in (
        ("TO_INDEX", CharactersStage),
        ("INGESTING", CharactersStage),
        ("STAGES", CharactersStage.name),
        ("DROPPED", *CharactersStage.shows),
    ):
        monkeypatch.setattr(stages, name, (*getattr(stages, name), one))  # All follow from the first.
    path, told = write_lines(tmp_path / "a.jsonl", documents()[:9]), Told()
    manifest = build_store(tmp_path / "s", path, progress=told)
    layout = Layout(tmp_path / "s")
    texts = [
        text for n in range(len(manifest.shards)) for text in open_passages(layout.passages(n)).column("text")
    ]
    characters = sum(len(str(text)) for text in texts)
    assert manifest.counts["characters"] == characters
    assert ("count-characters", "passages", manifest.rows) in told.stages
    found = status(tmp_path / "s")
    assert ("count-characters", 1, 1) in [(s.name, s.done, s.total) for s in found.stages]
    assert found.dropped["characters"] == characters
    assert verify(tmp_path / "s") == []
    more = write_lines(tmp_path / "b.jsonl", documents()[9:12])
    _, counts = add_to(tmp_path / "s", more)
    assert current(layout).counts["characters"] == characters + counts["characters"]
