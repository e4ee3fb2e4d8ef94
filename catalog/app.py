"""The catalog as an application: index, search, portal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
from fastapi import FastAPI

from catalog.index.follower import Follower
from catalog.index.routes import router as index_router
from catalog.search.routes import router as search_router
from catalog.settings import CatalogSettings
from catalog.web.routes import add_portal
from databank.kit.app import Context, create_base_app
from databank.kit.clock import Clock, new_secret, system_clock
from databank.kit.db import Database
from databank.kit.directory import Directory, broker_lookup
from databank.kit.http import Identity, ServiceClient
from databank.kit.keys import load_or_make_admin_token, load_or_make_key
from schemas.participant import JoinRequest, Jwk, Role
from schemas.signature import PublicKey

HANDLE: Final = "catalog"


def create_app(
    settings: CatalogSettings, *, clock: Clock = system_clock, http: httpx.Client | None = None
) -> FastAPI:
    """Return the catalog; ``http`` replaces its own outgoing client."""
    key = load_or_make_key(settings)
    database = Database(settings.database())
    database.migrate("catalog")
    calls = http or httpx.Client(
        timeout=settings.http_timeout_seconds, follow_redirects=False, trust_env=False
    )
    client = ServiceClient(
        Identity(settings.did, key), clock=clock, make_jti=new_secret, http=calls
    )
    follower = Follower(
        client,
        broker_url=settings.broker_url,
        request=_join_request(settings, key.public),
        secret=settings.read_operator_secret(),
        database=database,
        interval_seconds=settings.feed_seconds,
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        follower.start()
        try:
            yield
        finally:
            follower.stop()
            if http is None:
                calls.close()
            database.close()

    context = Context(
        did=settings.did,
        key=key.public,
        database=database,
        directory=Directory(
            broker_lookup(client, settings.broker_url),
            clock=clock,
            max_age_seconds=settings.registry_max_age_seconds,
            grace_seconds=settings.registry_grace_seconds,
        ),
        clock=clock,
        admin_token=load_or_make_admin_token(settings),
    )
    app = create_base_app(
        "산업데이터은행 카탈로그",
        context,
        body_bytes_max=settings.body_bytes_max,
        lifespan=lifespan,
    )
    app.include_router(index_router)
    app.include_router(search_router)
    add_portal(app)
    return app


def _join_request(settings: CatalogSettings, key: PublicKey) -> JoinRequest:
    return JoinRequest(
        handle=HANDLE,
        name=settings.operator_name,
        brn=settings.operator_brn,
        connector_url=settings.url,
        jwk=Jwk.model_validate(key.jwk),
        role=Role.OPERATOR,
    )
