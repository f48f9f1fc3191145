"""What a build is given beside its corpus: takedowns that keep documents out, evaluation texts to look for.

Both are written into the store when the build is begun, and all its tasks go by them as they were then.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.generation import current
from datastore.generations.manifest import FileEntry, Manifest
from datastore.integrity import compare
from datastore.objects.origin import locate
from datastore.takedown import Takedowns, without
from pipelines.config import BuildConfig
from pipelines.contamination.table import make_table, question_files
from pipelines.passages.parts import write_batch


@dataclass(frozen=True)
class Given:
    """The takedowns and evaluation texts of one build."""

    layout: Layout
    config: BuildConfig

    def begin_takedowns(self, chosen: dict[str, Any]) -> tuple[FileEntry, ...]:
        """The list that documents are kept out by: of a build that goes on, as of when it was begun."""
        takedowns, path = _takedowns(self.config), self.layout.takedowns(0)
        if takedowns is None:
            return ()
        made = not path.exists() or not self.layout.build_file.exists()
        if made:
            takedowns.write(self.layout, 0)
        # The list itself is in the store; which file or store it was read from changes nothing.
        chosen["config"]["takedowns"] = "000000.jsonl"
        return (self._fixed("takedowns", path, made),)

    def table(self) -> pa.RecordBatch | None:
        """The evaluation texts to be looked for, before anything is written; None if the store has them."""
        settings, written = self.config.decontaminate, self.layout.contamination.exists()
        if settings is None or (written and self.layout.build_file.exists()):
            return None
        return make_table(settings)

    def name_questions(self, chosen: dict[str, Any]) -> None:
        """What question files are called, and what is in them, decides; where they lie does not."""
        if self.config.decontaminate is not None:
            chosen["questions"] = question_files(self.config.decontaminate)
            chosen["config"]["decontaminate"]["files"] = list(chosen["questions"])

    def begin_decontamination(self, table: pa.RecordBatch | None) -> FileEntry | None:
        """The file that passages are checked by."""
        path = self.layout.contamination
        if table is not None:
            self.layout.write(path, partial(write_batch, batch=table))
        if self.config.decontaminate is None:
            return None
        return self._fixed("contamination", path, table is not None)

    def _fixed(self, name: str, path: Path, made: bool) -> FileEntry:
        """A file that all tasks go by, as it was `made`, now or when the build was begun."""
        marker = None if made else self.layout.done(name, 0)
        if marker is None:
            marker = Marker(files=(self.layout.info(path),))
            self.layout.mark(name, 0, marker)
        compare(path, marker.files[0])
        return FileEntry.of(marker.files[0])

    def with_late_takedowns(self, manifest: Manifest) -> Manifest:
        """Hide what has been taken down since the build was begun: it may have taken days."""
        takedowns = _takedowns(self.config)
        if takedowns is None:
            return manifest
        late = Takedowns(takedowns.documents - Takedowns.load(self.layout, manifest).documents)
        if not late.documents:
            return manifest
        listed = (*manifest.takedowns, late.write(self.layout, manifest.generation))
        return without(self.layout, manifest.model_copy(update={"takedowns": listed}), late)


def _takedowns(config: BuildConfig) -> Takedowns | None:
    """The documents that must not come in: a file's, or all that another store has taken down."""
    if config.takedowns is None:
        return None
    path = locate(config.takedowns)
    if not path.is_dir():
        return Takedowns.read([path])
    return Takedowns.load(Layout(path), current(Layout(path)))
