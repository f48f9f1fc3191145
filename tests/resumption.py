"""Builds that are killed and run again: what was done stays done, and the bytes are the undisturbed one's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datastore.verify import verify
from tests.conftest import tree
from tests.faults import Builder, Fault, Outcome


@dataclass(frozen=True)
class Resumption:
    """A build of `config` at `root`, which does not exist yet, to be killed and to go on."""

    builder: Builder
    root: Path
    config: Mapping[str, Any]

    def run(self, **fault: Any) -> Outcome:
        """Run the build, with a fault if there is to be one: see `Fault`."""
        return self.builder.build(Fault(str(self.root), dict(self.config), **fault))

    def go_on(self, again: Mapping[str, Any] | None = None, **fault: Any) -> None:
        """Run the build with a fault, and then `again` with these settings of it: nothing is done twice."""
        killed = self.run(**fault)
        if fault.get("point"):
            assert killed.signal == 9, killed
            assert fault["when"] in killed.hit
        # Markers and settings, but for comparing, which each run does anew.
        marked = [
            path for path in self.root.glob("stages/**/?????.json") if "compare" not in path.parent.name
        ]
        measured = [path.with_suffix(".measured.json") for path in marked]
        done = {path: path.stat().st_mtime_ns for path in (*marked, *measured) if path.exists()}
        assert self.run(**(again or {})).error == ""
        assert {path: path.stat().st_mtime_ns for path in done} == done

    def check(
        self, undisturbed: Mapping[str, bytes], again: Mapping[str, Any] | None = None, **fault: Any
    ) -> None:
        """Run it with a fault and again: it ends as a whole store of these bytes, by their paths."""
        self.go_on(again, **fault)
        assert tree(self.root) == undisturbed
        assert verify(self.root) == []
        assert not list(self.root.rglob("*.tmp"))
