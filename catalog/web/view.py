"""What the portal's pages show, as text: addresses, sizes, cells. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from catalog.web.labels import FACETS
from databank.kit.pages import address
from schemas.dataset import Listing
from schemas.search import FacetValue, SearchAnswer
from schemas.wire import Text

DESCRIPTION_CHARS_MAX: Final = 160
CELL_CHARS_MAX: Final = 200


def size(bytes_count: int) -> str:
    """Write a number of bytes in SI units."""
    amount = float(bytes_count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:  # noqa: PLR2004 - SI
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def cell(value: object) -> str:
    """Write one value of a sample."""
    if value is None:
        return "–"
    return str(value)[:CELL_CHARS_MAX]


def shorten(text: str) -> str:
    """Return the beginning of a description."""
    if len(text) <= DESCRIPTION_CHARS_MAX:
        return text
    start, space, _ = text[:DESCRIPTION_CHARS_MAX].rpartition(" ")
    return (start if space else text[:DESCRIPTION_CHARS_MAX]) + "…"


def dataset_address(dataset_id: str) -> str:
    """Return the address of a dataset's page."""
    return f"/d/{quote(dataset_id, safe=':')}"


@dataclass(frozen=True, slots=True)
class FacetLink:
    """One value of a facet; choosing it again lets go of it."""

    label: Text
    count: int
    is_chosen: bool
    href: str


@dataclass(frozen=True, slots=True)
class FacetBox:
    """One facet with its links."""

    name: str
    title: Text
    links: tuple[FacetLink, ...]


def facet_boxes(answer: SearchAnswer, params: Mapping[str, str | None]) -> Iterator[FacetBox]:
    """Yield the facets that have something to choose."""
    for name, title in FACETS.items():
        values: tuple[FacetValue, ...] = getattr(answer.facets, name)
        links = tuple(_facet_link(name, value, params) for value in values)
        if links:
            yield FacetBox(name, title, links)


def _facet_link(name: str, value: FacetValue, params: Mapping[str, str | None]) -> FacetLink:
    is_chosen = params.get(name) == value.value
    target = None if is_chosen else value.value
    href = address("/", params, **{name: target, "cursor": None})
    return FacetLink(value.label, value.count, is_chosen, href)


def snippets(listing: Listing) -> dict[str, str]:
    """Return how to use a dataset, ready to copy."""
    ref = f"{listing.provider_handle}.{listing.dataset.name}"
    sql = f"SELECT * FROM {ref} LIMIT 10"  # noqa: S608 - shown, never run here
    python = "\n".join(
        (
            "import databank",
            "",
            "db = databank.connect()",
            f'db.agree("{ref}")',
            f'answer = db.sql("{sql}")',
        )
    )
    command = "\n".join((f"databank negotiate {ref}", f'databank sql {ref} "{sql}"'))
    return {"python": python, "sql": sql + ";", "command": command}
