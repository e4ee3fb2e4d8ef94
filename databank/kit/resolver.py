"""DID documents of others: the registry's keys first, did:web for whoever it does not know.

For a registered participant the keys are always the registry's; its own document only says
where its services are, and those must be at its registered address. A stranger's document is
fetched from the open internet only, unless private networks are allowed. Everything is
bounded in bytes and seconds, and kept for a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import httpx

from databank.kit.clock import Clock
from databank.kit.directory import Directory
from schemas.dcp.did import DOCUMENT_BYTES_MAX, DidDocument, DidError, ServiceType
from schemas.dcp.error import DcpError
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.ids import ParticipantId, did_web_document_url
from schemas.participant import Participant, Status
from schemas.problem import RemoteUnavailableError

FETCH_SECONDS_MAX: Final = 5.0
ENTRIES_MAX: Final = 10_000


class UnreachableError(DcpError):
    """A document or list could not be fetched now; trying again may help."""


def unavailable(error: UnreachableError) -> RemoteUnavailableError:
    """Return what a caller is told while we cannot check who it is."""
    return RemoteUnavailableError(
        ko=f"신원을 지금 확인할 수 없습니다. 잠시 뒤 다시 시도하세요. {error}",
        en=f"The identity cannot be checked now ({error}). Try again later.",
        retryable=True,
    )


def fetch(http: httpx.Client, url: str, *, bytes_max: int) -> bytes:
    """Return what lies at ``url``.

    Raises:
        UnreachableError: No 200 answer, too large, or too slow.
    """
    ends_at = time.monotonic() + FETCH_SECONDS_MAX
    body = bytearray()
    try:
        with http.stream(
            "GET",
            url,
            headers={"Accept-Encoding": "identity"},
            timeout=FETCH_SECONDS_MAX,
            follow_redirects=False,
        ) as answer:
            if answer.status_code != httpx.codes.OK:
                raise UnreachableError(f"{url} answers HTTP {answer.status_code}"[:300])
            for piece in answer.iter_raw():
                body += piece
                if len(body) > bytes_max:
                    raise UnreachableError(f"{url} is over {bytes_max} bytes"[:300])
                if time.monotonic() > ends_at:
                    raise UnreachableError(f"{url} takes over {FETCH_SECONDS_MAX} s"[:300])
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise UnreachableError(f"{url} does not answer ({type(error).__name__})"[:300]) from None
    return bytes(body)


@dataclass(frozen=True, slots=True)
class _Kept:
    document: DidDocument
    fetched_at: datetime


class Resolver:
    """Finds DID documents; safe to use from several threads.

    Args:
        directory: The registry.
        own_http: For participants that the registry knows.
        foreign_http: For strangers; guarded against private addresses.
        foreign_scheme: Returns the URL scheme for a stranger's did:web.
        clock: The time.
        max_age_seconds: How long a fetched document is used.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        own_http: httpx.Client,
        foreign_http: httpx.Client,
        foreign_scheme: Callable[[str], str],
        clock: Clock,
        max_age_seconds: float,
    ) -> None:
        self._directory = directory
        self._own_http = own_http
        self._foreign_http = foreign_http
        self._foreign_scheme = foreign_scheme
        self._clock = clock
        self._max_age = timedelta(seconds=max_age_seconds)
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def keys(self, did: ParticipantId, kid: str | None = None) -> DidDocument:
        """Return a document that has the keys of ``did`` for sure, and perhaps no services.

        Raises:
            DcpError: Not an active participant, or no document can be had.
        """
        participant = self._registered(did)
        if participant is None:
            return self._fetched(did, None)
        now = self._clock()
        if kid is not None and participant.key_named(kid, now).kid != kid:
            participant = self._directory.find_anew(did) or participant
        return DidDocument.of(did, participant.keys(now))

    def endpoint(self, did: ParticipantId, kind: ServiceType) -> str:
        """Return where a service of ``did`` is.

        Raises:
            DcpError: It has none, or not at its registered address.
        """
        participant = self._registered(did)
        url = self._fetched(did, participant).endpoint(kind)
        if participant is not None and _origin(url) != _origin(participant.connector_url):
            raise DidError(f"{did} names a {kind.value} outside its registered address"[:300])
        return url

    def is_registered(self, did: ParticipantId) -> bool:
        """Return whether the registry knows ``did`` as an active participant.

        Raises:
            DidError: It knows it as one that is not active.
        """
        return self._registered(did) is not None

    def http_at(self, did: ParticipantId, url: str) -> httpx.Client:
        """Return the client with which ``url``, named by ``did``, may be fetched.

        Only at its registered address is a participant called without the guard.
        """
        participant = self._registered(did)
        if participant is not None and _origin(url) == _origin(participant.connector_url):
            return self._own_http
        return self._foreign_http

    def forget(self, did: ParticipantId) -> None:
        """Fetch the document anew before it is used again."""
        with self._lock:
            self._kept.pop(did, None)

    def _registered(self, did: ParticipantId) -> Participant | None:
        participant = self._directory.find(did)
        if participant is not None and participant.status is not Status.ACTIVE:
            raise DidError(f"{did} is not an active participant"[:300])
        return participant

    def _fetched(self, did: ParticipantId, participant: Participant | None) -> DidDocument:
        now = self._clock()
        with self._lock:
            kept = self._kept.get(did)
        if kept is not None and now - kept.fetched_at < self._max_age:
            return kept.document
        if participant is None:
            http, scheme = self._foreign_http, self._foreign_scheme(did)
        else:
            http, scheme = self._own_http, urlsplit(participant.connector_url).scheme
        try:
            url = did_web_document_url(did, scheme=scheme)
            raw = parse_message(fetch(http, url, bytes_max=DOCUMENT_BYTES_MAX))
        except MalformedMessageError as error:
            raise DidError(f"the document of {did} is not JSON: {error}"[:300]) from None
        except UnreachableError:
            raise
        except ValueError as error:
            raise DidError(str(error)[:300]) from None
        document = DidDocument.read(raw, did)
        with self._lock:
            if len(self._kept) >= ENTRIES_MAX:
                self._kept.clear()
            self._kept[did] = _Kept(document, now)
        return document


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
