"""Puts together what verifies callers and what lets them verify us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

import httpx

from connector.identity.lists import StatusLists
from connector.identity.model import MEMBERSHIP_SCOPE
from connector.identity.verifier import Callers, Verifier
from connector.settings import ConnectorSettings
from databank.kit.clock import Clock, new_secret
from databank.kit.directory import Directory
from databank.kit.guard import GuardedTransport
from databank.kit.http import Identity, ServiceClient
from databank.kit.resolver import Resolver
from databank.kit.settings import LOOPBACK
from schemas.dcp.token import issue_access_token

_PREFIX: Final = "did:web:"


def access_tokens(identity: Identity, clock: Clock) -> Callable[[str], str]:
    """Return what makes a token with which a verifier may ask for our membership."""

    def make(verifier: str) -> str:
        return issue_access_token(
            key=identity.key,
            own=identity.did,
            verifier=verifier,
            scopes=(MEMBERSHIP_SCOPE,),
            now=clock(),
            jti=new_secret(),
        )

    return make


def create_verifier(
    settings: ConnectorSettings,
    client: ServiceClient,
    directory: Directory,
    *,
    clock: Clock,
    http: httpx.Client,
) -> tuple[Resolver, Verifier]:
    """Return what finds DID documents and what verifies callers."""
    foreign_http = http
    if settings.is_guarded:
        foreign_http = httpx.Client(
            timeout=settings.http_timeout_seconds, trust_env=False, transport=GuardedTransport()
        )
    resolver = Resolver(
        directory,
        own_http=http,
        foreign_http=foreign_http,
        foreign_scheme=lambda did: "https" if settings.is_guarded else _open_scheme(did),
        clock=clock,
        max_age_seconds=settings.document_max_age_seconds,
    )
    lists = StatusLists(
        resolver,
        clock=clock,
        max_age_seconds=settings.status_list_max_age_seconds,
        grace_seconds=settings.registry_grace_seconds,
    )
    foreign = ServiceClient(client.identity, clock=clock, make_jti=new_secret, http=foreign_http)
    verifier = Verifier(
        settings.did,
        resolver=resolver,
        lists=lists,
        callers=Callers(client, foreign),
        trusted=settings.issuers,
        clock=clock,
        max_age_seconds=settings.membership_max_age_seconds,
    )
    return resolver, verifier


def _open_scheme(did: str) -> str:
    """Return ``http`` for this machine and for container names, which have no certificates."""
    host = unquote(did.removeprefix(_PREFIX).partition(":")[0]).partition(":")[0]
    return "http" if host in LOOPBACK or "." not in host else "https"
