"""A study's folder: its tables as far as they are there, and the file that says what was measured.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import xxhash
import yaml

from base.errors import RalmError
from datastore.files.locks import changing
from datastore.files.writing import atomic_write
from pipelines.config import read_mapping
from pipelines.evaluate.study.settings import Study
from pipelines.evaluate.study.tasks import Task
from pipelines.evaluate.tables import RESULTS, Tables

_ABOUT = "study.yaml"
# Of a run that is under way; hidden, as it is no result.
_LOCK = ".lock"
# What is no axis: figures of others do not belong into one table.
_PROTOCOL = (
    *("pool", "reader_questions", "answer_tokens", "budget", "neighbours", "replug_temperature"),
    *("prompt", "encoder", "query_encoder"),
)


def study_hash(study: Study, tasks: Sequence[Task]) -> str:
    """A hash of tasks and protocol: a study of other values of its axes is the same one, extended."""
    settings = study.model_dump(include=set(_PROTOCOL)) | {
        "tasks": sorted((one.name, one.hash) for one in tasks),
        "shots": repr(study.conditioning("none", 0).shots),
    }
    return xxhash.xxh3_64_hexdigest(orjson.dumps(settings, option=orjson.OPT_SORT_KEYS))


@dataclass
class StudyFolder:
    """Where a study's tables lie; `tables` are those that are there, of this very study.

    `notes` are those of the runs that measured them.
    """

    path: Path
    tables: Tables
    notes: tuple[str, ...] = ()

    @staticmethod
    @contextmanager
    def held(path: Path) -> Iterator[None]:
        """Hold a study's folder for one run. Raises RalmError if another live process holds it."""
        _require_folder(path)
        with changing(path, path / _LOCK):
            yield

    @classmethod
    def open(cls, path: Path, study: str) -> "StudyFolder":
        """The folder of a study, which need not be there. Raises RalmError for that of another study."""
        _require_folder(path)
        if (path / RESULTS).exists():
            return cls(path, Tables.read(path, study), _notes(path / _ABOUT))
        return cls(path, Tables(study))

    def require(self, manifest: str) -> None:
        """Raise RalmError if a figure was measured on another state of the store."""
        for one in self.tables.results:
            if one.basis.manifest != manifest:
                raise RalmError(
                    f"The store has changed since {self.path / RESULTS} was measured: its manifest was "
                    f"{one.basis.manifest}, it is {manifest} now. Choose another folder for the study."
                )

    def add(self, results: Sequence[Any], values: Sequence[Any]) -> None:
        """Write figures, and what they are means of, beside those that are there."""
        self.tables = self.tables.merged(results, values)
        self.tables.write(self.path)

    def describe(self, about: dict[str, Any]) -> None:
        """Write what was measured, for people: study.yaml."""
        text = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=110)
        atomic_write(self.path / _ABOUT, lambda handle: handle.write(text.encode()))


def _notes(file: Path) -> tuple[str, ...]:
    """What earlier runs noted. Raises RalmError for a file that is no YAML."""
    found = read_mapping(file, "study", "notes: []").get("notes") if file.exists() else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _require_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise RalmError(f"{path} is a file: choose a folder for the study.")
