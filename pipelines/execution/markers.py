"""What tasks have left when they were done, also on other machines."""

from pathlib import Path
from time import monotonic, sleep

from base.errors import Unavailable
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.integrity import compare

# How long a marker of another node may take to be seen here: what NFS knows of a folder holds up to a minute.
_SECONDS = 90.0
_LOOK_SECONDS = 0.5


def markers_of(layout: Layout, stage: str, count: int) -> list[Marker]:
    """The markers of the first tasks of a stage, which are done. Raises Unavailable if one is not seen."""
    found = [layout.done(stage, n) for n in range(count)]
    given_up = monotonic() + _SECONDS
    while None in found and monotonic() < given_up:
        # NFS may go on saying for a while that what was not there is not there; listing asks the server.
        list(layout.stages.glob(f"{stage}/*"))
        found = [marker or layout.done(stage, n) for n, marker in enumerate(found)]
        if None in found:
            sleep(_LOOK_SECONDS)
    if None in found:
        raise Unavailable(
            f"Task {found.index(None)} of {stage} left no marker in {layout.root}: does every node of the "
            "cluster see that folder?"
        )
    return [marker for marker in found if marker is not None]


def left_by(layout: Layout, number: int, path: Path, *stages: str) -> Path:
    """A file that a task of one of these stages has left for others, compared with what its marker says.

    Nothing is compared where no marker names it. Raises RalmError if it is not what was written.
    """
    name = path.relative_to(layout.root).as_posix()
    for stage in stages:
        marker = layout.done(stage, number)
        for file in marker.files if marker else ():
            if file.path == name:
                again = f"delete {layout.marker(stage, number)} and run the same command again: its task is "
                compare(path, file, f"{again}done anew.")
                return path
    return path
