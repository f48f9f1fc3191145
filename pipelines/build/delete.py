"""Taking documents down: which ones are meant, and the generation without them."""

from dataclasses import dataclass
from pathlib import Path

from datastore.errors import RalmError
from datastore.generation import current
from datastore.layout import Layout
from datastore.manifest import Manifest
from datastore.origin import address_of, locate
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, matching, take_down
from datastore.view import Condition, View


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
        absent = [one for one in self.ids if one not in {document.doc_id for document in found}]
        if absent:
            raise RalmError(
                f"{address_of(self.store)} shows no such document {absent[0]!r}: nothing is deleted. To keep "
                "away what may come later, list its domain and id in --ids-file."
            )
        if not found:
            raise RalmError(f"No document of {address_of(self.store)} is meant by that: nothing is deleted.")
        return found

    def run(self) -> tuple[Manifest, Manifest, list[Takedown]]:
        """Take them down: the manifests before and after, and the documents."""
        documents = self.found()
        layout = Layout(locate(self.store))
        before = current(layout)
        return before, take_down(layout, Takedowns(frozenset(documents))), documents
