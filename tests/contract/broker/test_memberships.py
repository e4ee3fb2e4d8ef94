"""Granting and attesting at the same time, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from broker.membership import store
from broker.registry import store as registry
from databank.kit.db import Database
from schemas.attested import Attested
from tests.support.bank import NOON, company

WAIT_SECONDS = 30.0


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    made.migrate("broker")
    yield made
    made.close()


def test_a_membership_never_says_what_is_just_ceasing_to_be(database: Database) -> None:
    steel = company("steel", "광양제철").participant
    safety = Attested(frozenset({"안전협의회"}), frozenset())
    with database.unit_of_work() as uow:
        registry.add(uow, steel)
        store.attest(uow, steel.id, safety, NOON)
    granted: list[Attested] = []
    is_running = threading.Event()

    def grant() -> None:
        is_running.set()
        with database.unit_of_work() as uow:
            granted.append(store.grant(uow, steel.id, NOON).attested)

    thread = threading.Thread(target=grant)
    with database.unit_of_work() as uow:
        store.attest(uow, steel.id, Attested(), NOON)
        store.revoke(uow, steel.id, NOON)
        thread.start()
        assert is_running.wait(WAIT_SECONDS)
        thread.join(0.5)  # time to go wrong: it must wait for us
        assert granted == []
    thread.join(WAIT_SECONDS)
    assert granted == [Attested()]
