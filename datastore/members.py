"""Stores that are searched together: which views each of them can answer.

Knows what domains and metadata columns the stores have; opens none of their shards.
"""

from collections.abc import Sequence
from dataclasses import replace

from base.errors import RalmError
from datastore.store import Datastore
from datastore.view import View


def known_views(stores: Sequence[Datastore], views: Sequence[View]) -> list[list[View | None]]:
    """For each of some stores the views as it can answer them: of its own domains; None if it has nothing.

    Raises RalmError for a view that none can answer.
    """
    columns = set().union(*(store.manifest.columns for store in stores))
    domains = set().union(*(store.manifest.domains for store in stores))
    for view in views:
        view.require_known(domains, columns)
    known = [[_narrowed(store, view) for view in views] for store in stores]
    for view, *there in zip(views, *known, strict=True):
        if not any(there) and any(store.rows for store in stores):
            asked = ", ".join(map(repr, dict.fromkeys([*view.domains, *view.columns])))
            raise RalmError(f"No one of these stores has such a domain with such a column: {asked}.")
    return known


def _narrowed(store: Datastore, view: View) -> View | None:
    """A view without the domains and alternatives that a store does not have; None if nothing is in it."""
    mine = tuple(one for one in view.domains if one in store.manifest.domains)
    where = tuple(one for clause in view.where if (one := clause.among(store.manifest.columns)) is not None)
    lacks = (view.domains and not mine) or len(where) < len(view.where)
    return None if lacks or not store.rows else replace(view, domains=mine, where=where)
