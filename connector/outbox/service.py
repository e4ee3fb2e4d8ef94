"""Queue messages in the transaction that causes them."""

from __future__ import annotations

from functools import partial

from connector.outbox import store
from connector.outbox.model import Kind, OutgoingMessage
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.ids import did_web

CRAWL_KEY = "broker-crawl"


def enqueue(uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage) -> None:
    """Queue a message; it leaves after the commit."""
    first = store.append(uow, message, runtime.clock())
    uow.after_commit(partial(runtime.outbox.hand_over, message.process_key, first))


def announce_catalog_change(uow: UnitOfWork, runtime: Runtime) -> None:
    """Ask the broker to crawl us after this change.

    One request may be under way and miss the change; one behind it covers all later changes.
    """
    if store.count(uow, CRAWL_KEY) > 1:
        return
    broker = runtime.settings.broker_url.rstrip("/")
    message = OutgoingMessage(
        kind=Kind.CRAWL_REQUEST,
        process_key=CRAWL_KEY,
        url=f"{broker}/crawls",
        audience=did_web(broker),
        body={},
    )
    enqueue(uow, runtime, message)
