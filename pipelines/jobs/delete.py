"""Taking documents down: which ones are meant, and the generation without them.

Decisions: docs/decisions/generations-and-takedowns.md, laws-and-bytes.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from base.errors import RalmError
from datastore.conditions import Condition
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.generations.manifest import Manifest
from datastore.objects.origin import address_of, locate
from datastore.schema import load_metadata
from datastore.shard import open_passages
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, matching, take_down
from datastore.view import View

# Titles are for people, who read no thousand of them.
_TITLED = 10


@dataclass(frozen=True)
class Meant:
    """The documents that a deletion means, the passages that it hides, and the titles of the first few."""

    documents: tuple[Takedown, ...]
    passages: int
    titles: Mapping[Takedown, str]


@dataclass(frozen=True)
class Deletion:
    """Documents of a store by id, by domain, by conditions on their metadata, or by all of these at once.

    `ids_file` lists identities, whether they are in the store or may only come later.
    """

    store: Path
    ids: tuple[str, ...] = ()
    ids_file: Path | None = None
    domains: tuple[str, ...] = ()
    where: tuple[str, ...] = ()

    def found(self) -> list[Takedown]:
        """The documents that are meant. Raises RalmError if there are none, or if nothing says which."""
        by_choice = bool(self.ids or self.domains or self.where)
        if not by_choice and self.ids_file is None:
            raise RalmError("Nothing says what to delete: give --ids, --ids-file, --domain or --where.")
        found = Takedowns.read([self.ids_file]).documents if self.ids_file else frozenset()
        if self.ids_file and not found:
            raise RalmError(
                f'{self.ids_file} lists nothing: write lines of {{"domain": "...", "id": "..."}}.'
            )
        return sorted(found | self._chosen() if by_choice else found)

    def _chosen(self) -> frozenset[Takedown]:
        store = Datastore.open(self.store)
        view = View(domains=self.domains, where=tuple(map(Condition.parse, self.where)))
        found = matching(store, view, self.ids or None).documents
        there = {document.doc_id for document in found}
        absent = [one for one in self.ids if one not in there]
        if absent:
            raise RalmError(
                f"{address_of(self.store)} shows no such document {absent[0]!r}: nothing is deleted. To keep "
                "away what may come later, list its domain and id in --ids-file."
            )
        if not found:
            raise RalmError(f"No document of {address_of(self.store)} is meant by that: nothing is deleted.")
        return found

    def meant(self) -> Meant:
        """What `found` finds, with what a person wants to see of it before it goes."""
        documents = self.found()
        store = Datastore.open(self.store)
        shown, all_of_them = store.mask(View()), Takedowns(frozenset(documents))
        first, passages, titles = Takedowns(frozenset(documents[:_TITLED])), 0, dict[Takedown, str]()
        for entry in store.manifest.shards:
            batch = open_passages(store.layout.root / entry.passages.path)
            alive = shown[entry.first_row : entry.first_row + entry.rows]
            passages += int((all_of_them.rows(batch) & alive).sum())
            rows = batch.take(pa.array(np.flatnonzero(first.rows(batch) & alive)))
            for row in rows.select(["domain", "doc_id", "metadata"]).to_pylist():
                title = load_metadata(row["metadata"]).get("title")
                if isinstance(title, str) and title != row["doc_id"]:
                    titles[Takedown(row["domain"], row["doc_id"])] = title
        return Meant(tuple(documents), passages, titles)

    def run(self, confirmed: Sequence[Takedown] | None = None) -> tuple[Manifest, Manifest, list[Takedown]]:
        """Take them down: the manifests before and after, and the documents.

        `confirmed` are the documents that somebody has said yes to: what has come since then stays.
        """
        documents = self.found() if confirmed is None else list(confirmed)
        layout = Layout(locate(self.store))
        before = current(layout)
        return before, take_down(layout, Takedowns(frozenset(documents))), documents
