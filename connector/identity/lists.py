"""Status lists of issuers: fetched, verified, kept for a while.

A list that cannot be fetched makes the credential unusable, except that a copy not older than
the registry's grace is still believed while its host does not answer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from databank.kit.clock import Clock
from databank.kit.resolver import Resolver, UnreachableError, fetch
from schemas.dcp.credential import (
    Credential,
    CredentialError,
    StatusRef,
    check_dates,
    is_revoked,
    read_credential,
)
from schemas.dcp.did import Relationship
from schemas.dcp.jose import JWT_CHARS_MAX, verify_jwt
from schemas.ids import ParticipantId

PURPOSES: Final = frozenset({"revocation", "suspension"})
LISTS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Kept:
    listed: Credential
    fetched_at: datetime


class StatusLists:
    """Looks bits up; safe to use from several threads."""

    def __init__(
        self, resolver: Resolver, *, clock: Clock, max_age_seconds: float, grace_seconds: float
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._max_age = timedelta(seconds=max_age_seconds)
        self._grace = timedelta(seconds=grace_seconds)
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def check(self, credential: Credential) -> None:
        """Let a credential pass that is neither revoked nor suspended.

        Raises:
            DcpError: It is, or its list is not one of the issuer.
            UnreachableError: The list cannot be had.
        """
        for status in credential.statuses:
            if status.purpose not in PURPOSES:
                continue
            listed = self._list(status, ParticipantId(credential.issuer))
            if is_revoked(status, listed):
                raise CredentialError(f"{credential.id} is under {status.purpose}"[:300])

    def forget(self) -> None:
        """Fetch all lists anew before they are believed."""
        with self._lock:
            self._kept.clear()

    def _list(self, status: StatusRef, issuer: ParticipantId) -> Credential:
        now, url = self._clock(), status.list_url
        with self._lock:
            kept = self._kept.get(url)
        if kept is not None and now - kept.fetched_at < self._max_age:
            return kept.listed
        try:
            listed = self._fetch(url, issuer, now)
        except UnreachableError:
            if kept is not None and now - kept.fetched_at < self._grace:
                return kept.listed
            raise
        with self._lock:
            if len(self._kept) >= LISTS_MAX:
                self._kept.clear()
            self._kept[url] = _Kept(listed, now)
        return listed

    def _fetch(self, url: str, issuer: ParticipantId, now: datetime) -> Credential:
        http = self._resolver.http_at(issuer, url)
        token = fetch(http, url, bytes_max=JWT_CHARS_MAX).decode("ascii", "replace").strip()
        jwt, listed = read_credential(token)
        if listed.issuer != issuer:
            raise CredentialError(f"{url} is not a list of {issuer}"[:300])
        document = self._resolver.keys(issuer, jwt.kid)
        verify_jwt(jwt, document.key(jwt.kid, Relationship.ASSERTION))
        check_dates(listed, now=now)
        return listed
