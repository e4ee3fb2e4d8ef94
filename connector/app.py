"""One connector: the only constructor, and what runs in the background."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Final

import httpx
from fastapi import APIRouter, Depends, FastAPI

from connector.agreement.routes import router as agreement_router
from connector.dataplane.client import SupplierRefusedError, on_supplier_refused
from connector.dataplane.copying import CopyKeeper
from connector.dataplane.management import router as use_router
from connector.dataplane.pool import Limits, QueryPool
from connector.dataplane.routes import router as data_router
from connector.dataplane.visit import TokensInUse
from connector.deadlines import Deadlines
from connector.desk.routes import add_desk
from connector.dsp.edge import DspError, on_dsp_error
from connector.identity.document import own_document
from connector.identity.keeper import Keeper
from connector.identity.routes import router as identity_router
from connector.identity.setup import access_tokens, create_verifier
from connector.management.routes import router as management_router
from connector.management.shares import router as shares_router
from connector.metering.ship import Shipper, received
from connector.negotiation.delivery import NegotiationDelivery
from connector.negotiation.routes import router as negotiation_router
from connector.offering.routes import router as offering_router
from connector.outbox.courier import Courier
from connector.outbox.dispatch import Dispatcher
from connector.outbox.model import Kind
from connector.outbox.notices import NoticeDelivery
from connector.publish.routes import router as publish_router
from connector.publish.service import prepare_folders
from connector.runtime import Deciders, Runtime, get_runtime
from connector.settings import ConnectorSettings
from connector.spending.routes import router as spending_router
from connector.transfer import store as transfers
from connector.transfer.delivery import TransferDelivery
from connector.transfer.routes import router as transfer_router
from connector.witness.routes import management_router as witness_view_router
from connector.witness.routes import router as witness_router
from databank.kit.app import CallerDep, Context, create_base_app
from databank.kit.clock import Clock, new_secret, new_urn, system_clock
from databank.kit.db import Database
from databank.kit.directory import Directory, Lookup, broker_lookup
from databank.kit.http import Identity, ServiceClient
from databank.kit.keys import load_or_make_admin_token, load_or_make_key
from schemas.ids import did_web
from schemas.participant import RevocationNotice
from schemas.problem import ForbiddenError

registry_router = APIRouter(tags=["registry"])


@registry_router.post("/registry/notices")
def registry_notice(
    notice: RevocationNotice, caller: CallerDep, runtime: Annotated[Runtime, Depends(get_runtime)]
) -> dict[str, str]:
    """Look a participant up again before it is answered: the broker says it changed."""
    if caller.participant.id != did_web(runtime.settings.broker_url):
        raise ForbiddenError(ko="브로커만 보낼 수 있습니다.", en="Only the broker may send this.")
    runtime.directory.forget(notice.participant_id)
    runtime.verifier.forget(notice.participant_id)
    if notice.participant_id == runtime.did:
        runtime.standing.give()  # our credential may be revoked, or due
    return {"status": "ok"}


def create_runtime(
    settings: ConnectorSettings,
    *,
    clock: Clock,
    lookup: Lookup | None,
    http: httpx.Client,
    deciders: Deciders | None = None,
) -> Runtime:
    """Open the database, load the key, and put the connector's parts together."""
    database = Database(settings.database())
    database.migrate("connector")
    identity = Identity(settings.did, load_or_make_key(settings))
    shown = access_tokens(identity, clock) if settings.shows_credentials else None
    client = ServiceClient(
        identity, clock=clock, make_jti=new_secret, http=http, make_access_token=shown
    )
    directory = Directory(
        lookup or broker_lookup(client, settings.broker_url),
        clock=clock,
        max_age_seconds=settings.registry_max_age_seconds,
        grace_seconds=settings.registry_grace_seconds,
    )
    resolver, verifier = create_verifier(settings, client, directory, clock=clock, http=http)
    runtime = Runtime(
        settings,
        identity,
        database,
        directory,
        client,
        clock,
        new_urn,
        resolver,
        verifier,
        deciders or Deciders(),
    )
    prepare_folders(runtime)
    return runtime


def query_limits(settings: ConnectorSettings) -> Limits:
    """Return what one query may take."""
    return Limits(
        seconds=settings.query_seconds_max,
        rows=settings.result_rows_max,
        bytes=settings.result_bytes_max,
        memory_bytes=settings.worker_memory_bytes,
        workers=settings.workers_max,
        waiting=settings.queries_waiting_max,
    )


def create_context(runtime: Runtime) -> Context:
    """Return what the kit's routes and guards need of this connector."""
    return Context(
        did=runtime.did,
        key=runtime.identity.key.public,
        database=runtime.database,
        directory=runtime.directory,
        clock=runtime.clock,
        admin_token=load_or_make_admin_token(runtime.settings),
        document=partial(own_document, runtime),
    )


def create_courier(runtime: Runtime) -> Courier:
    """Return what sends each kind of message in the outbox."""
    notices = NoticeDelivery()
    return Courier(
        runtime,
        {
            Kind.NEGOTIATION: NegotiationDelivery(),
            Kind.TRANSFER: TransferDelivery(),
            Kind.FRESH_ADDRESS: notices,
            Kind.AGREEMENT_END: notices,
            Kind.AGREEMENT_RECORD: notices,
            Kind.CRAWL_REQUEST: notices,
        },
    )


ROUTERS: Final = (
    data_router,  # asked most, and found in order
    registry_router,
    identity_router,
    offering_router,
    negotiation_router,
    transfer_router,
    agreement_router,
    publish_router,
    management_router,
    shares_router,
    use_router,
    witness_router,
    witness_view_router,
    spending_router,
)


def _warm_up(runtime: Runtime, pool: QueryPool) -> None:
    """Have a SQL worker run before the first query comes, if one may come."""
    runtime.before_queries.append(pool.warm)
    with runtime.database.unit_of_work() as uow:
        is_wanted = transfers.has_open_queries(uow)
    if is_wanted:
        pool.warm()


def create_app(
    settings: ConnectorSettings,
    *,
    clock: Clock = system_clock,
    lookup: Lookup | None = None,
    http: httpx.Client | None = None,
    deciders: Deciders | None = None,
) -> FastAPI:
    """Return a connector's application.

    Args:
        settings: Where it runs and whom it trusts.
        clock: The time.
        lookup: The registry; without it, the broker named in the settings.
        http: The client for all calls to others.
        deciders: Who answers counterparties; without them, what is published.
    """
    http = http or httpx.Client(timeout=settings.http_timeout_seconds, trust_env=False)
    runtime = create_runtime(settings, clock=clock, lookup=lookup, http=http, deciders=deciders)
    dispatcher = Dispatcher(runtime, create_courier(runtime))
    query_pool = QueryPool(query_limits(settings))
    threads = (
        dispatcher,
        Shipper(runtime),
        Shipper(runtime, received(runtime)),
        Keeper(runtime),
        Deadlines(runtime),
        CopyKeeper(runtime),
    )

    @asynccontextmanager
    async def background() -> AsyncIterator[None]:
        for thread in threads:
            thread.start()
        _warm_up(runtime, query_pool)
        yield
        for thread in reversed(threads):
            thread.stop()
        query_pool.close()
        http.close()
        runtime.database.close()

    app = create_base_app(
        "산업데이터은행 connector",
        create_context(runtime),
        body_bytes_max=settings.body_bytes_max,
        lifespan=background,
    )
    app.state.runtime = runtime
    app.state.dispatcher = dispatcher
    app.state.query_pool = query_pool
    app.state.tokens_in_use = TokensInUse()
    app.add_exception_handler(DspError, on_dsp_error)
    app.add_exception_handler(SupplierRefusedError, on_supplier_refused)
    for router in ROUTERS:
        app.include_router(router)
    add_desk(app, clock)
    return app
