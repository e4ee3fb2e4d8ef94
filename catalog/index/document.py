"""From a listing to what the index stores of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from catalog.index.words import tokens
from catalog.web.labels import DOMAINS, FREE, INDUSTRIES
from schemas.dataset import Listing
from schemas.ids import DatasetId, ParticipantId

TITLE_TOKENS_MAX: Final = 500
BODY_TOKENS_MAX: Final = 6_000  # a tsvector numbers 16 383 positions


@dataclass(frozen=True, slots=True)
class Document:
    """A listing as it is indexed; ``listing`` is its JSON."""

    dataset_id: DatasetId
    provider_id: ParticipantId
    provider_handle: str
    provider_name: str
    name: str
    domain: str
    industry: str
    price_kinds: tuple[str, ...]
    is_generated: bool
    modified_at: datetime
    title: tuple[str, ...]
    body: tuple[str, ...]
    listing: str


def to_document(listing: Listing) -> Document:
    """Return the search document of a listing."""
    dataset = listing.dataset
    kinds = dict.fromkeys(component.kind.value for component in listing.plan.components)
    return Document(
        dataset_id=dataset.id,
        provider_id=listing.provider_id,
        provider_handle=listing.provider_handle,
        provider_name=listing.provider_name,
        name=dataset.name,
        domain=dataset.domain.value,
        industry=dataset.industry.value,
        price_kinds=tuple(kinds) or (FREE,),
        is_generated=dataset.is_generated,
        modified_at=dataset.modified_at,
        title=tuple(_title_tokens(listing)),
        body=tuple(islice(_tokens_of(_body_texts(listing)), BODY_TOKENS_MAX)),
        listing=listing.model_dump_json(by_alias=True, exclude_none=True),
    )


def _title_tokens(listing: Listing) -> Iterable[str]:
    title = listing.dataset.title
    both = (t for text in (title.ko, title.en) for t in tokens(text, single_syllables=True))
    return islice(both, TITLE_TOKENS_MAX)


def _tokens_of(texts: Iterable[str]) -> Iterable[str]:
    return (token for text in texts for token in tokens(text))


def _body_texts(listing: Listing) -> Iterable[str]:
    dataset = listing.dataset
    yield from dataset.keywords
    yield from (dataset.name, listing.provider_handle, listing.provider_name)
    for label in (DOMAINS[dataset.domain], INDUSTRIES[dataset.industry]):
        yield from (label.ko, label.en)
    yield from (dataset.description.ko, dataset.description.en)
    for column in dataset.schema_.columns:
        yield from (column.name, column.label.ko, column.label.en, column.unit or "")
