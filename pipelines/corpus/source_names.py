"""What sources are called, and the domains of those of their documents that state none.

A name is part of ids, so it holds no more of a path than tells the source from the others of its job.

Decisions: docs/decisions/identity-and-metadata.md.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from base.errors import RalmError
from datastore.generations.manifest import SourceEntry
from pipelines.readers.bytes import files
from pipelines.readers.formats import EXTENSIONS

# What is put behind a name that the store has already.
_NUMBER = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class Named:
    """What a source is called in ids, what its path alone would call it, and its default domain."""

    name: str
    called: str
    domain: str

    def entry(self, domain: str | None, size: int) -> SourceEntry:
        """What a manifest keeps of the source; nothing of this that its name tells anyway."""
        given = domain is not None or self.domain == short(self.called)
        return SourceEntry(
            name=self.name,
            domain=domain,
            bytes=size,
            called=None if _called(self.name) == self.called else self.called,
            default_domain=None if given else self.domain,
        )


def named(
    paths: Sequence[str], domains: Sequence[str | None], before: Sequence[SourceEntry] = ()
) -> list[Named]:
    """Names and default domains of a job's sources, for which a domain may be given.

    `before` are the sources that the store has already. Where the name of one of those comes again, all names
    end in a number: more of the path would be no name to keep. It is taken for the same source, and has the
    same domain: what it calls as before is the same document, and stays taken down if it was.
    """
    called = source_names(paths)
    names = _numbered(called, [entry.name for entry in before])
    defaults = _default_domains(called, domains, before)
    return [Named(*one) for one in zip(names, called, defaults, strict=True)]


def source_names(paths: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell the sources apart; most often the last part alone.

    Raises RalmError for a source that is given twice.
    """
    whole = [(p,) if p.startswith("hf://") else files.parts(p) for p in paths]
    if len(set(whole)) < len(whole):
        twice = next(p for i, p in enumerate(paths) if whole[i] in whole[:i])
        raise RalmError(f"The source {twice} is given twice: name it once.")
    for length in range(1, max(map(len, whole), default=1) + 1):
        found = ["/".join(p[-length:]).removeprefix("hf://").lstrip("/") or "root" for p in whole]
        if len(set(found)) == len(found):
            return found
    # A data set of the hub may be called as a folder is from end to end, and a folder "root" as the root.
    return [
        "/".join(p) if p[0].startswith("hf://") or p == ("/",) else n
        for p, n in zip(whole, found, strict=True)
    ]


def short(called: str) -> str:
    """A source's name without known extensions: the default domain, if no other source's is the same."""
    path = Path(_called(called))
    while path.suffix.lower() in EXTENSIONS and path.stem:
        path = path.with_suffix("")
    return str(path)


def _called(name: str) -> str:
    """A name without a number behind it."""
    return _NUMBER.sub("", name)


def _numbered(called: list[str], taken: Sequence[str]) -> list[str]:
    """The names, all with one number behind them if one is taken."""
    found, number = called, 1
    while set(found) & set(taken):
        number += 1
        found = [f"{name}#{number}" for name in called]
    return found


def _default_domains(
    called: Sequence[str], domains: Sequence[str | None], before: Sequence[SourceEntry]
) -> list[str]:
    """The sources' default domains: no other source has the same, in this job or in the store.

    Were two to share one, the second's documents would be taken for duplicates of the first's. In order: the
    name without extensions, the name, the name with a number. Sources that would share one all go on to the
    next, so that their order decides nothing. A domain that is given stays with those that it is given to.
    """
    again = _again(before)
    kept = [again.get(name) for name in called]
    free = [n for n, domain in enumerate(domains) if domain is None and kept[n] is None]
    known = [(_base(entry), _domain(entry)) for entry in before]
    elsewhere = [{domain for base, domain in known if base != name} for name in called]
    steps = [0] * len(called)
    while True:
        ladder = [_step(name, step) for name, step in zip(called, steps, strict=True)]
        found = [given or same or own for given, same, own in zip(domains, kept, ladder, strict=True)]
        times = Counter(found)
        shared = [n for n in free if times[found[n]] > 1 or found[n] in elsewhere[n]]
        if not shared:
            return found
        for domain in {found[n] for n in shared}:
            some = [n for n in shared if found[n] == domain]
            first = min(steps[n] for n in some)
            for n in some:
                steps[n] += steps[n] == first


def _step(called: str, step: int) -> str:
    """A default domain of a source, the more of a name the higher the step."""
    return (short(called), called)[step] if step < 2 else f"{called}#{step}"


def _base(entry: SourceEntry) -> str:
    """What a source of a store was called by its path."""
    return entry.called or _called(entry.name)


def _domain(entry: SourceEntry) -> str:
    """The domain of a source of a store, given or by default."""
    return entry.domain or entry.default_domain or short(_base(entry))


def _again(before: Sequence[SourceEntry]) -> dict[str, str]:
    """The default domains of the sources that a store has, by their names: of one name that of the first."""
    own = [entry for entry in before if entry.domain is None]
    return {_base(entry): _domain(entry) for entry in reversed(own)}
