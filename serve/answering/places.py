"""Where a passage stands: ids and URLs of stores, documents and passages, and a document's passages in order.

An id is a hash of what it names, so it survives `ralm add` and `ralm compact`. A document's names its store,
domain and id; a passage's is its document's with its number there: `file-4f0c...` and `file-4f0c....3`. A
store is called by its folder's name. Knows no HTTP.

Decisions: docs/decisions/identity-and-metadata.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from threading import Lock
from urllib.parse import urlsplit

import xxhash

from base.errors import RalmError
from base.invalid import is_unicode
from base.names import did_you_mean
from datastore.documents import find_document, rows_around
from datastore.objects.origin import name_of
from datastore.schema import Passage, Scalar, passage_key
from datastore.store import Datastore
from retriever.results import Hit
from retriever.retriever import Retriever

# Documents whose rows are remembered: they were found lately, and are asked for next.
_REMEMBERED = 100_000
_STORE_ID = re.compile(r"[A-Za-z0-9_.-]{1,56}")
_FILE_ID = re.compile(r"(file-([0-9a-f]{16})[0-9a-f]{16})(?:\.([0-9]{1,10}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """A document's id, and the number of a passage there; None: the document itself."""

    document: str
    chunk: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Place | None":
        """An id of a document or a passage; None if it is none."""
        found = _FILE_ID.fullmatch(text)
        return None if found is None else cls(found[1], None if found[3] is None else int(found[3]))

    def __str__(self) -> str:
        return self.document if self.chunk is None else f"{self.document}.{self.chunk}"

    @property
    def path(self) -> str:
        """Of the service's page that shows it."""
        return f"/documents/{self.document}" + ("" if self.chunk is None else f"#chunk-{self.chunk}")


def place_of(store: str, passage: Passage) -> Place:
    """Where a passage of a store, by the store's id, stands."""
    return Place(_file_id(store, passage.domain, passage.doc_id), passage.chunk)


def _file_id(store: str, domain: str, doc_id: str) -> str:
    named = f"{len(store)}:{store}{len(domain)}:{domain}{doc_id}".encode()
    # The key of its first passage is what it is found by; the rest tells it from those with the same key.
    return f"file-{passage_key(domain, doc_id, 0):016x}{xxhash.xxh3_64_intdigest(named):016x}"


def url_of(passage: Passage, place: Place, base: str) -> str:
    """A passage's URL: its document's own, if its metadata has one, else the service's page, which shows it.

    `base` is the service's address, without a slash at its end.
    """
    own = passage.metadata.get("url")
    return own if isinstance(own, str) and _is_web(own) else base + place.path


def _is_web(url: str) -> bool:
    """Whether it is an address of the web, and nothing else that a click would do."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = is_unicode(url) and not re.search(r"[\s\x00-\x1f\x7f\"'<>\\^`{|}]", url)
    return plain and parts.scheme.lower() in ("http", "https") and bool(parts.netloc)


@dataclass(frozen=True)
class Whole:
    """A document of a store: its passages in order, all that are kept of it."""

    store: str
    passages: tuple[Passage, ...]

    @cached_property
    def place(self) -> Place:
        """Its id."""
        first = self.passages[0]
        return Place(_file_id(self.store, first.domain, first.doc_id))

    @property
    def metadata(self) -> Mapping[str, Scalar]:
        """The document's metadata."""
        return self.passages[0].metadata

    @property
    def title(self) -> str:
        """What people know it by."""
        return title_of(self.passages[0])

    @property
    def text(self) -> str:
        """Its text. Of white space between passages the length is known; `[...]` stands for lost ones."""
        found = self.passages[0].text
        for before, after in pairwise(self.passages):
            found += between(before, after) + after.text
        return found

    @property
    def bytes(self) -> int:
        """Of its passages' texts, in UTF-8."""
        return sum(len(one.text.encode()) for one in self.passages)


def between(before: Passage, after: Passage) -> str:
    """What stands between two passages that follow each other in a store."""
    if after.chunk != before.chunk + 1:
        return "\n\n[...]\n\n"
    gap = max(0, after.start - before.start - len(before.text))
    return " " * gap if gap < 2 else "\n\n" + " " * (gap - 2)


def title_of(passage: Passage) -> str:
    """What people know a passage's document by: its title, in one line, else its id."""
    title = passage.metadata.get("title")
    return (" ".join(title.split()) if isinstance(title, str) else "") or passage.doc_id


class Places:
    """Finds documents by their ids in the stores that are served. Safe between threads."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._remembering = Lock()

    def of(self, hit: Hit, retriever: Retriever) -> Place:
        """Where a hit stands. Its document is found at once when it is asked for next."""
        found = place_of(store_ids(retriever)[hit.store], hit.passage)
        self.remember(found.document, hit.row)
        return found

    def find(self, document: str, retriever: Retriever, store: str | None = None) -> Whole | None:
        """A document by its id, in one store by that store's id, or in all; None if it is in none."""
        rows = self.rows(document, retriever, store)
        if rows is None:
            return None
        name, there = rows
        opened = retriever.stores[name].store
        return Whole(store_ids(retriever)[name], tuple(opened.passage(row) for row in there))

    def rows(self, document: str, retriever: Retriever, store: str | None = None) -> tuple[str, range] | None:
        """The name of the store that holds a document, and its rows there; None if it is in none."""
        found = _FILE_ID.fullmatch(document)
        if found is None or found[3] is not None:
            return None
        for name, its_id in store_ids(retriever).items():
            if store is None or its_id == store:
                rows = self._within(retriever.stores[name].store, document, its_id, int(found[2], 16))
                if rows is not None:
                    self.remember(document, rows.start)
                    return name, rows
        return None

    def _within(self, store: Datastore, document: str, its_id: str, first_key: int) -> range | None:
        def is_it(domain: str, doc_id: str) -> bool:
            return _file_id(its_id, domain, doc_id) == document

        row = self._rows.get(document)
        if row is not None and row < store.rows:  # Of another generation it may be another's, or nobody's.
            there = store.document_of(row)
            if there is not None and is_it(*there):
                return rows_around(store, row)
        return find_document(store, first_key, is_it)

    def remember(self, document: str, row: int) -> None:
        """Note a row of a document, so that it is found at once when it is asked for next."""
        with self._remembering:
            self._rows.pop(document, None)
            self._rows[document] = row
            while len(self._rows) > _REMEMBERED:
                self._rows.pop(next(iter(self._rows)))


class Addresses:
    """The ids and URLs of a retriever's hits, for who asked at an address (`base`).

    Without one, a passage has the URL of its document or none. `places` remembers what was found.
    """

    def __init__(self, retriever: Retriever, base: str | None = None, places: Places | None = None) -> None:
        self._ids, self._base, self._places = store_ids(retriever), base, places

    def of(self, hit: Hit) -> tuple[str, str | None]:
        """A hit's id and URL."""
        place = place_of(self._ids[hit.store], hit.passage)
        if self._places is not None:
            self._places.remember(place.document, hit.row)
        url = url_of(hit.passage, place, self._base or "")
        return str(place), url if self._base is not None or not url.startswith("/") else None


def store_ids(retriever: Retriever) -> dict[str, str]:
    """The ids of the stores that are served, by their names: `vs_` and the folder's name, or a hash of it."""
    return {name: _store_id(called) for name, called in store_names(retriever).items()}


def _store_id(name: str) -> str:
    safe = _STORE_ID.fullmatch(name) is not None
    return f"vs_{name}" if safe else f"vs_{xxhash.xxh3_64_hexdigest(name.encode(errors='surrogateescape'))}"


def store_names(retriever: Retriever) -> dict[str, str]:
    """What people call the stores that are served, by their names: those of their folders."""
    return {name: name or _folder(one.store.layout.root) for name, one in retriever.stores.items()}


# Asked for each hit, and read from a file.
_folder = lru_cache(maxsize=64)(name_of)


def part_of(retriever: Retriever | None, stores: Sequence[str]) -> Retriever:
    """The retriever of some stores, by their names or ids. Raises RalmError if one is not there."""
    called = {} if retriever is None else store_names(retriever)
    ids = {} if retriever is None else store_ids(retriever)
    names = []
    for store in stores:
        found = [name for name in called if store in (called[name], ids[name])]
        if not found:
            there = ", ".join(called.values()) or "none"
            near = did_you_mean(store, [*called.values(), *ids.values()])
            raise RalmError(f"There is no store {store!r} here: there are {there}{near}")
        names += found
    assert retriever is not None  # Else none was found.
    return retriever.only(names)
