"""What a buyer can do first with an agreement: a command that its terms permit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from schemas.terms import Terms

ROWS_SHOWN: Final = 5


def first_step(ref: str, policy: dict[str, Any]) -> str:
    """Return a command that uses the agreed data and is permitted by the agreed policy."""
    from schemas.terms import Mode, Terms, UnknownTermError, from_policy

    try:
        terms, _ = from_policy(policy)
    except UnknownTermError:  # of a supplier with another profile
        terms = Terms()
    if Mode.QUERY not in terms.modes:
        return f"databank read {ref} -o {ref}.arrow"
    return f"databank sql {ref} '{_query(ref, terms)}'"


def _query(ref: str, terms: Terms) -> str:
    if terms.statistics_entity is None:
        return f"FROM {ref} LIMIT {min(ROWS_SHOWN, terms.rows_max or ROWS_SHOWN)}"
    if terms.statistics_groups and terms.epsilon_milli is None:  # parts first, see docs/policies.md
        group = _quoted(terms.statistics_groups[0])
        return f"SELECT {group}, count(*) FROM {ref} GROUP BY {group}"  # noqa: S608 - only shown
    return f"SELECT count(*) FROM {ref}"  # noqa: S608 - only shown


def _quoted(column: str) -> str:
    from schemas.dataset import RESERVED_NAMES

    if column.isidentifier() and column.casefold() not in RESERVED_NAMES:
        return column
    return '"' + column.replace('"', '""') + '"'
