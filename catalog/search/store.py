"""Searches the index: SQLite's FTS5 with BM25, PostgreSQL's tsvector with ts_rank.

Tokens hold letters and digits only, so quoting them is enough; all values are bound.
"""

# ruff: noqa: S608 - statements are put together from the fixed parts below only
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text

from catalog.search.model import Filters, Match, Place
from catalog.web.labels import GENERATED, PRICES
from databank.kit.db import UnitOfWork

FACET_VALUES_MAX: Final = 50
TITLE_WEIGHT: Final = 4.0
_FILTERS: Final = {
    "domain": "l.domain = :domain",
    "industry": "l.industry = :industry",
    "provider": "l.provider_handle = :provider",
    "price": "l.price_kinds LIKE :price",
    "generated": "l.is_generated = :generated",
}
_GROUPINGS: Final = {
    "domain": ("l.domain", "l.domain"),
    "industry": ("l.industry", "l.industry"),
    "provider": ("l.provider_handle", "MIN(l.provider_name)"),
    "generated": ("l.is_generated", "l.is_generated"),
}


def fts5(match: Match) -> str:
    """Return a match as an FTS5 expression."""
    if match.is_widened:
        return " OR ".join(f'"{token}"' for token in match.query.any_token)
    return " AND ".join(
        "(" + " OR ".join("(" + " AND ".join(f'"{t}"' for t in one) + ")" for one in group) + ")"
        for group in match.query.groups
    )


def tsquery(match: Match) -> str:
    """Return a match as a ``tsquery`` literal."""
    if match.is_widened:
        return " | ".join(f"'{token}'" for token in match.query.any_token)
    return " & ".join(
        "(" + " | ".join("(" + " & ".join(f"'{t}'" for t in one) + ")" for one in group) + ")"
        for group in match.query.groups
    )


def count(uow: UnitOfWork, match: Match, filters: Filters) -> int:
    """Return how many datasets match."""
    source, values = _source(uow, match, filters)
    return int(_rows(uow, f"SELECT COUNT(*) FROM {source}", values)[0][0])


def page(
    uow: UnitOfWork, match: Match, filters: Filters, *, after: Place | None, limit: int
) -> list[Place]:
    """Return the places of the best matches after a place."""
    source, values = _source(uow, match, filters)
    inner = f"SELECT {_score(uow, match)} AS score, l.number AS number FROM {source}"
    where = ""
    if after is not None:
        where = "WHERE score > :score OR (score = :score AND number < :number)"
        values |= {"score": after.score, "number": after.number}
    statement = (
        f"SELECT score, number FROM ({inner}) AS found {where} "
        "ORDER BY score, number DESC LIMIT :limit"
    )
    return [Place(float(s), int(n)) for s, n in _rows(uow, statement, values | {"limit": limit})]


def facet(uow: UnitOfWork, match: Match, filters: Filters, name: str) -> list[tuple[str, str, int]]:
    """Return value, name and count of a facet under the filters of the others."""
    source, values = _source(uow, match, filters, but=name)
    if name == "price":
        found = [(kind, kind, _price_count(uow, source, values, kind)) for kind in PRICES]
        return [entry for entry in found if entry[2]]
    key, label = _GROUPINGS[name]
    statement = (
        f"SELECT {key}, {label}, COUNT(*) AS hits FROM {source} "
        f"GROUP BY {key} ORDER BY hits DESC, {key} LIMIT {FACET_VALUES_MAX}"
    )
    return [(_value(k), _value(n), int(c)) for k, n, c in _rows(uow, statement, values)]


def _price_count(uow: UnitOfWork, source: str, values: dict[str, Any], kind: str) -> int:
    link = "AND" if " WHERE " in source else "WHERE"
    statement = f"SELECT COUNT(*) FROM {source} {link} l.price_kinds LIKE :kind"
    return int(_rows(uow, statement, values | {"kind": f"%;{kind};%"})[0][0])


def _value(found: object) -> str:
    """Return a facet's value as text; SQLite knows no booleans but 0 and 1."""
    if isinstance(found, str):
        return found
    return GENERATED if found else "no"


def _source(
    uow: UnitOfWork, match: Match, filters: Filters, *, but: str = ""
) -> tuple[str, dict[str, Any]]:
    """Return the FROM and WHERE of a search with the values that they bind."""
    values: dict[str, Any] = {}
    conditions: list[str] = []
    source = "catalog_listing AS l"
    if match.query.groups:
        source += " JOIN fts_listing ON fts_listing.rowid = l.number"
        if uow.is_postgres:
            conditions.append("fts_listing.body @@ CAST(:match AS tsquery)")
            values["match"] = tsquery(match)
        else:
            conditions.append("fts_listing MATCH :match")
            values["match"] = fts5(match)
    for name, value in filters.chosen(but=but):
        conditions.append(_FILTERS[name])
        values[name] = _bound(name, value)
    if conditions:
        source += " WHERE " + " AND ".join(conditions)
    return source, values


def _bound(name: str, value: str) -> object:
    if name == "generated":
        return value == GENERATED
    return f"%;{value};%" if name == "price" else value


def _score(uow: UnitOfWork, match: Match) -> str:
    if not match.query.groups:
        return "CAST(-l.modified_micros AS double precision)"
    if uow.is_postgres:
        ranked = "ts_rank(fts_listing.body, CAST(:match AS tsquery))"
        return f"CAST(-{ranked} AS double precision)"
    return f"bm25(fts_listing, {TITLE_WEIGHT}, 1.0)"


def _rows(uow: UnitOfWork, statement: str, values: dict[str, Any]) -> Sequence[Any]:
    return uow.session.connection().execute(text(statement), values).all()
