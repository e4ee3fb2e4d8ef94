"""Reads one connector's catalog (DSP 2025-1, 5.2.1) page by page, within bounds.

The connector may be hostile: pages without end, bodies without end, links elsewhere,
bytes that drip. Each of these ends the crawl with a ``CrawlError`` and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn
from urllib.parse import urljoin, urlsplit

import httpx

from broker.crawler.plan import Bounds
from databank.kit.http import ServiceClient
from schemas.participant import Participant
from schemas.problem import RemoteUnavailableError

CONTEXT: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
REQUEST: Final = {"@context": [CONTEXT], "@type": "CatalogRequestMessage"}
ETAG_CHARS_MAX: Final = 200


class CrawlError(Exception):
    """The catalog could not be read; the text says why, to the operator and its owner."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole catalog; ``etag`` only if it came in one page."""

    datasets: tuple[Any, ...]
    etag: str | None


@dataclass(slots=True)
class _Reading:
    bounds: Bounds
    monotonic: Callable[[], float]
    ends_at: float
    bytes_count: int = 0
    datasets: list[Any] = field(default_factory=list)

    def check_time(self) -> None:
        if self.monotonic() > self.ends_at:
            raise CrawlError(f"takes over {self.bounds.seconds_max:g} seconds")

    def check_bytes(self, more: int) -> None:
        self.bytes_count += more
        if self.bytes_count > self.bounds.bytes_max:
            raise CrawlError(f"over {self.bounds.bytes_max} bytes")


def fetch_catalog(
    client: ServiceClient,
    participant: Participant,
    *,
    etag: str | None,
    bounds: Bounds,
    monotonic: Callable[[], float],
) -> Fetched | None:
    """Return the catalog of a participant, or None if ``etag`` still stands.

    Raises:
        CrawlError: It does not answer, answers nonsense, or exceeds the bounds.
    """
    url: str | None = f"{participant.dsp_url}/catalog/request"
    reading = _Reading(bounds, monotonic, monotonic() + bounds.seconds_max)
    seen: set[str] = set()
    first_etag: str | None = None
    while url is not None:
        if url in seen:
            raise CrawlError("its pages link in a circle")
        if len(seen) >= bounds.pages_max:
            raise CrawlError(f"over {bounds.pages_max} pages")
        condition = {"If-None-Match": etag} if etag is not None and not seen else {}
        response, body = _read_page(client, participant, url, condition, reading)
        if response.status_code == httpx.codes.NOT_MODIFIED and condition:
            return None
        _take_datasets(response, body, participant, reading)
        if not seen:
            first_etag = response.headers.get("etag")
        seen.add(url)
        url = _next_url(url, response)
    if len(seen) > 1 or (first_etag is not None and len(first_etag) > ETAG_CHARS_MAX):
        first_etag = None
    return Fetched(tuple(reading.datasets), first_etag)


def _read_page(
    client: ServiceClient,
    participant: Participant,
    url: str,
    condition: dict[str, str],
    reading: _Reading,
) -> tuple[httpx.Response, bytes]:
    headers = {"Accept-Encoding": "identity", **condition}  # a compressed page could be a bomb
    body = bytearray()
    reading.check_time()
    try:
        with client.stream(
            "POST", url, audience=participant.id, json=REQUEST, headers=headers
        ) as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise CrawlError("sends a compressed page that was not asked for")
            for piece in response.iter_raw():
                reading.check_bytes(len(piece))
                reading.check_time()
                body += piece
            return response, bytes(body)
    except RemoteUnavailableError as error:
        raise CrawlError(error.detail.en) from None


def _take_datasets(
    response: httpx.Response, body: bytes, participant: Participant, reading: _Reading
) -> None:
    if response.status_code != httpx.codes.OK:
        raise CrawlError(f"answers HTTP {response.status_code}")
    catalog = _parse(body)
    if not isinstance(catalog, dict) or catalog.get("@type") != "Catalog":
        raise CrawlError("answers something that is not a catalog")
    if catalog.get("participantId") != participant.id:
        raise CrawlError(f"its catalog is not of {participant.id}")
    datasets = catalog.get("dataset", [])
    if not isinstance(datasets, list):
        raise CrawlError("its catalog's datasets are not a list")
    reading.datasets.extend(datasets)
    if len(reading.datasets) > reading.bounds.datasets_max:
        raise CrawlError(f"over {reading.bounds.datasets_max} datasets")


def _parse(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CrawlError(f"answers something that is not JSON: {error}"[:200]) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _next_url(url: str, response: httpx.Response) -> str | None:
    link = response.links.get("next", {}).get("url")
    if link is None:
        return None
    target = urljoin(url, link)
    if _origin(target) != _origin(url):
        raise CrawlError("its next page lies at another origin")
    return target


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
