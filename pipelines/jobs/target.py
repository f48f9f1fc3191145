"""Where a build may write: an empty place, or one that holds this very store."""

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current, published
from datastore.objects.origin import Origin, address_of


def check_target(layout: Layout) -> None:
    """Refuse a path that holds something else than a store, before anything is written to it."""
    root = layout.root
    if root.exists() and not root.is_dir():
        raise RalmError(f"{root} is a file: choose a new or an empty folder for the store.")
    if not root.is_dir() or layout.build_file.exists():
        return
    if published(layout):
        current(layout)  # Refuses a manifest.json that is none of ours.
        return
    origin = Origin.of(root)
    if origin is not None:
        if strangers := origin.strangers():
            name = address_of(root)
            raise RalmError(f"{name} holds something else ({strangers[0]}): choose a new or an empty prefix.")
        return
    # A build killed before it fixed its settings leaves a lock, empty folders and its takedowns.
    strangers = [p.name for p in root.iterdir() if p.name not in ("lock", "stages", "takedowns")]
    if strangers:
        raise RalmError(f"{root} holds something else ({strangers[0]}): choose a new or an empty folder.")
