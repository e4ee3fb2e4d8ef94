"""The broker as an application: registry, crawler, feed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

import httpx
import structlog
from fastapi import FastAPI

from broker.crawler.loop import CrawlLoop
from broker.crawler.plan import Bounds
from broker.crawler.routes import router as crawler_router
from broker.crawler.service import crawl
from broker.federation.routes import router as federation_router
from broker.membership.delivery import Delivery
from broker.membership.model import PREFIX as ISSUER_PREFIX
from broker.membership.model import Issuer
from broker.membership.routes import router as membership_router
from broker.parts import Parts
from broker.registry import service, store
from broker.registry.client import NOTICE_SECONDS_MAX
from broker.registry.routes import router as registry_router
from broker.settings import BrokerSettings
from databank.kit.app import Context, create_base_app
from databank.kit.clock import Clock, new_secret, system_clock
from databank.kit.db import Database
from databank.kit.directory import Directory, Lookup
from databank.kit.guard import GuardedTransport
from databank.kit.holder import TokenCheck
from databank.kit.http import Identity, ServiceClient
from databank.kit.keys import load_or_make_admin_token, load_or_make_key
from databank.kit.resolver import Resolver
from databank.kit.settings import Environment
from schemas.dcp.did import DidDocument, ServiceType
from schemas.ids import ParticipantId
from schemas.participant import JoinRequest, Jwk, Participant, Role

HANDLE: Final = "broker"
DOCUMENT_SECONDS: Final = 60.0  # how long a holder's DID document is used
log = structlog.get_logger()


def create_app(
    settings: BrokerSettings, *, clock: Clock = system_clock, http: httpx.Client | None = None
) -> FastAPI:
    """Return the broker; ``http`` replaces its own outgoing client."""
    key = load_or_make_key(settings)
    database = Database(settings.database())
    database.migrate("broker")
    _register_self(settings, database, Jwk.model_validate(key.public.jwk), clock)
    identity = Identity(settings.did, key)
    calls = http or _make_http(settings, settings.http_timeout_seconds)
    notices = http or _make_http(settings, NOTICE_SECONDS_MAX)
    directory = _own_directory(database, clock)
    parts = _make_parts(
        settings, identity, database, directory=directory, clock=clock, clients=(calls, notices)
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        parts.crawler.start()
        parts.issuing.start()
        try:
            yield
        finally:
            parts.issuing.stop()
            parts.crawler.stop()
            if http is None:
                calls.close()
                notices.close()
            database.close()

    issuer_service = (ServiceType.ISSUER, f"{settings.url}{ISSUER_PREFIX}")
    context = Context(
        did=settings.did,
        key=key.public,
        database=database,
        directory=directory,
        clock=clock,
        admin_token=load_or_make_admin_token(settings),
        document=partial(DidDocument.of, settings.did, [key.public], [issuer_service]),
    )
    app = create_base_app(
        "산업데이터은행 브로커",
        context,
        body_bytes_max=settings.body_bytes_max,
        lifespan=lifespan,
    )
    _warn_of_open_doors(settings, parts.operator_secret)
    app.state.parts = parts
    for router in (registry_router, membership_router, crawler_router, federation_router):
        app.include_router(router)
    return app


def _make_parts(
    settings: BrokerSettings,
    identity: Identity,
    database: Database,
    *,
    directory: Directory,
    clock: Clock,
    clients: tuple[httpx.Client, httpx.Client],
) -> Parts:
    """Return the broker's parts; ``clients`` are for calls and for notices."""
    calls, notices = clients
    client = ServiceClient(identity, clock=clock, make_jti=new_secret, http=calls)
    crawler = CrawlLoop(
        partial(crawl, database=database, client=client, bounds=_bounds(settings), clock=clock),
        database=database,
        clock=clock,
        interval=timedelta(seconds=settings.crawl_seconds),
        parallel=settings.crawl_parallel,
    )
    resolver = _make_resolver(directory, calls, clock)
    issuer = Issuer(settings.did, settings.url, timedelta(days=settings.membership_days))
    return Parts(
        settings=settings,
        operator_secret=settings.read_operator_secret(),
        crawler=crawler,
        notices=ServiceClient(identity, clock=clock, make_jti=new_secret, http=notices),
        issuer=issuer,
        issuing=Delivery(issuer, client=client, resolver=resolver, database=database, clock=clock),
        check_token=TokenCheck(settings.did, resolver, clock),
    )


def _bounds(settings: BrokerSettings) -> Bounds:
    return Bounds(
        pages_max=settings.crawl_pages_max,
        datasets_max=settings.crawl_datasets_max,
        bytes_max=settings.crawl_bytes_max,
        seconds_max=settings.crawl_time_max_seconds,
    )


def _make_http(settings: BrokerSettings, timeout: float) -> httpx.Client:
    is_open = settings.env is not Environment.PRODUCTION or settings.allow_private_networks
    transport = None if is_open else GuardedTransport()
    return httpx.Client(
        timeout=timeout, follow_redirects=False, trust_env=False, transport=transport
    )


def _make_resolver(directory: Directory, http: httpx.Client, clock: Clock) -> Resolver:
    """Return what finds the services of participants; only they can be holders."""
    return Resolver(
        directory,
        own_http=http,
        foreign_http=http,
        foreign_scheme=lambda _: "https",
        clock=clock,
        max_age_seconds=DOCUMENT_SECONDS,
    )


def _own_directory(database: Database, clock: Clock) -> Directory:
    """Return a directory that asks the broker's own registry every time."""

    def find(participant_id: ParticipantId) -> Participant | None:
        with database.unit_of_work() as uow:
            return store.find(uow, participant_id)

    lookup: Lookup = find
    return Directory(lookup, clock=clock, max_age_seconds=0, grace_seconds=0)


def _register_self(settings: BrokerSettings, database: Database, jwk: Jwk, clock: Clock) -> None:
    request = JoinRequest(
        handle=HANDLE,
        name=settings.operator_name,
        brn=settings.operator_brn,
        connector_url=settings.url,
        jwk=jwk,
        role=Role.OPERATOR,
    )
    with database.unit_of_work() as uow:
        service.register_self(uow, request, now=clock())


def _warn_of_open_doors(settings: BrokerSettings, secret: str) -> None:
    if not secret and settings.env is not Environment.PRODUCTION and settings.is_loopback:
        log.warning("operator_role_open", reason="no operator_secret, on this machine only")
