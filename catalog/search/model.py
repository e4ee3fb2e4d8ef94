"""What a search asks for, and where its next page begins. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from catalog.search.query import Query
from schemas.problem import InvalidRequestError

CURSOR_CHARS_MAX: Final = 120
NUMBER_MAX: Final = 2**62
FACET_NAMES: Final = ("domain", "industry", "provider", "price", "generated")


@dataclass(frozen=True, slots=True)
class Filters:
    """Chosen facet values; None means any."""

    domain: str | None = None
    industry: str | None = None
    provider: str | None = None
    price: str | None = None
    generated: str | None = None

    def chosen(self, *, but: str = "") -> Iterator[tuple[str, str]]:
        """Yield names and values of the chosen filters, except one."""
        for name in FACET_NAMES:
            value = getattr(self, name)
            if value is not None and name != but:
                yield name, str(value)


@dataclass(frozen=True, slots=True)
class Match:
    """What text must match: all groups, or any token once nothing matches them."""

    query: Query
    is_widened: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A hit's place in the order: by score, less first, then by number, greater first."""

    score: float
    number: int


def write_cursor(place: Place) -> str:
    """Return the place after which the next page begins."""
    packed = json.dumps([place.score, place.number])
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Place:
    """Read a cursor.

    Raises:
        InvalidRequestError: It is not one of ours.
    """
    place = _unpack(cursor)
    if place is None or not math.isfinite(place.score) or not 0 <= place.number < NUMBER_MAX:
        raise InvalidRequestError(
            ko="cursor 값이 올바르지 않습니다. next_cursor를 그대로 보내거나 빼고 다시 찾으세요.",
            en="The cursor is not valid. Send next_cursor as it came, or none.",
            field="cursor",
        )
    return place


def _unpack(cursor: str) -> Place | None:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        score, number = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        return Place(float(score), int(number))
    except (binascii.Error, TypeError, ValueError, OverflowError, RecursionError):
        return None
