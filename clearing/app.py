"""The clearing service: agreements, grants, metering, ledger, statements."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx
from fastapi import FastAPI

import clearing.agreements.routes
import clearing.attestation.routes
import clearing.bank.routes
import clearing.billing.routes
import clearing.bundle.routes
import clearing.closing.routes
import clearing.credit.routes
import clearing.disputes.routes
import clearing.documents.routes
import clearing.grants.routes
import clearing.invoices.routes
import clearing.ledger.routes
import clearing.log.routes
import clearing.metering.routes
import clearing.notices
import clearing.payout.routes
import clearing.returns.routes
import clearing.settlement.routes
import clearing.shares.routes
from clearing.context import Clearing
from clearing.disputes.model import Terms
from clearing.log.quorum import Quorum
from clearing.log.service import Log, Publisher
from clearing.log.witnessing import Asking, Witnesses
from clearing.metering.commit import Committer
from clearing.registration import Registration, registering
from clearing.settings import ClearingSettings
from databank.kit.app import Context, create_base_app
from databank.kit.clock import Clock, IdMaker, new_secret, system_clock
from databank.kit.db import Database
from databank.kit.directory import Directory, Lookup, broker_lookup
from databank.kit.http import Identity, ServiceClient
from databank.kit.keys import load_or_make_admin_token, load_or_make_key
from schemas.ids import did_web
from schemas.issuer import Issuer
from schemas.participant import JoinRequest, Jwk, Role
from schemas.seal import log_origin
from schemas.signature import SigningKey

PACKAGE: Final = "clearing"
HANDLE: Final = "clearing"
MEMORY: Final = "log-checkpoint"  # in the data folder: the checkpoint signed last


@dataclass(frozen=True, slots=True)
class _Outside:
    """What the service reaches others with."""

    http: httpx.Client
    client: ServiceClient
    registration: Registration | None


def create_app(
    settings: ClearingSettings,
    *,
    clock: Clock = system_clock,
    make_id: IdMaker = new_secret,
    lookup: Lookup | None = None,
) -> FastAPI:
    """Build the service: migrate its database, load its key, prepare its registration.

    Args:
        settings: The settings.
        clock: The time.
        make_id: Makes nonces and token ids.
        lookup: Asks the registry for a participant; by default the broker, where the service
            then also registers itself.
    """
    key = load_or_make_key(settings)
    database = Database(settings.database())
    database.migrate(PACKAGE)
    outside = _outside(settings, key, clock=clock, make_id=make_id, is_registering=lookup is None)
    directory = Directory(
        lookup or broker_lookup(outside.client, settings.broker_url),
        clock=clock,
        max_age_seconds=settings.registry_max_age_seconds,
        grace_seconds=settings.registry_grace_seconds,
    )
    log = _open_log(settings, key, database, clock=clock, make_nonce=make_id)
    publisher = Publisher(log, database, clock=clock, seconds=settings.checkpoint_seconds)
    asking = Asking(log, database, directory, outside.client, clock)
    witnesses = Witnesses(asking, settings.witnesses, seconds=settings.checkpoint_seconds)
    context = Context(
        did=settings.did,
        key=key.public,
        database=database,
        directory=directory,
        clock=clock,
        admin_token=load_or_make_admin_token(settings),
    )

    app = create_base_app(
        "Clearing",
        context,
        body_bytes_max=settings.body_bytes_max,
        lifespan=_lifespan(outside, (publisher, witnesses), database),
    )
    app.state.clearing = _clearing(settings, log, witnesses, Committer(database, log, clock=clock))
    _add_routes(app)
    return app


def _clearing(
    settings: ClearingSettings, log: Log, witnesses: Witnesses, committer: Committer
) -> Clearing:
    return Clearing(
        log=log,
        witnesses=witnesses,
        committer=committer,
        broker_did=did_web(settings.broker_url),
        fee_bps=settings.fee_bps,
        royalty_fee_bps=settings.royalty_fee_bps,
        grant_life=timedelta(seconds=settings.grant_seconds),
        issuer=Issuer(settings.name, settings.brn, settings.url.rstrip("/")),
        silence=timedelta(hours=settings.silence_hours),
        dispute_terms=Terms.of_days(*settings.dispute_days),
        invoice_issuing=settings.invoice_issuing,
        officers=settings.officers,
        account_wait=timedelta(hours=settings.account_wait_hours),
    )


def _lifespan(
    outside: _Outside, threads: Sequence[Publisher | Witnesses], database: Database
) -> Callable[[], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        if outside.registration is not None:
            outside.registration.start()
        for thread in threads:
            thread.start()
        yield
        for thread in reversed(threads):
            thread.stop()
        if outside.registration is not None:
            outside.registration.stop()
        outside.http.close()
        database.close()

    return lifespan


def _open_log(
    settings: ClearingSettings,
    key: SigningKey,
    database: Database,
    *,
    clock: Clock,
    make_nonce: IdMaker,
) -> Log:
    origin, memory = log_origin(settings.url), settings.data_dir / MEMORY
    quorum = Quorum(
        settings.witness_quorum, grace_seconds=settings.witness_grace_seconds, clock=clock
    )
    log = Log(key, origin=origin, memory=memory, make_nonce=make_nonce, quorum=quorum)
    with database.unit_of_work() as uow:
        log.open(uow)
    return log


def _add_routes(app: FastAPI) -> None:
    for module in (
        clearing.agreements.routes,
        clearing.attestation.routes,
        clearing.bundle.routes,
        clearing.credit.routes,
        clearing.disputes.routes,
        clearing.grants.routes,
        clearing.metering.routes,
        clearing.ledger.routes,
        clearing.log.routes,
        clearing.settlement.routes,
        clearing.shares.routes,
        clearing.closing.routes,
        clearing.documents.routes,
        clearing.billing.routes,
        clearing.invoices.routes,
        clearing.payout.routes,
        clearing.returns.routes,
        clearing.bank.routes,
        clearing.notices,
    ):
        app.include_router(module.router)


def _outside(
    settings: ClearingSettings,
    key: SigningKey,
    *,
    clock: Clock,
    make_id: IdMaker,
    is_registering: bool,
) -> _Outside:
    http = httpx.Client(
        timeout=settings.http_timeout_seconds, follow_redirects=False, trust_env=False
    )
    identity = Identity(settings.did, key)
    client = ServiceClient(identity, clock=clock, make_jti=make_id, http=http)
    if not is_registering:
        return _Outside(http, client, None)
    join = JoinRequest(
        handle=HANDLE,
        name=settings.name,
        brn=settings.brn,
        connector_url=settings.url,
        jwk=Jwk.model_validate(key.public.jwk),
        role=Role.OPERATOR,
    )
    register = registering(client, settings.broker_url, join, settings.read_operator_secret())
    registration = Registration(register, retry_seconds=settings.join_retry_seconds)
    return _Outside(http, client, registration)
