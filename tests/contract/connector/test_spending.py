"""A spending limit holds whatever acts run at once, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from connector.spending import service, store
from connector.spending.service import SpendingBusyError, SpendingLimitError
from schemas.ids import AgreementId
from tests.support.connectors import Registry, Running, connector

IT = AgreementId("urn:agreement:one")
ANOTHER = AgreementId("urn:agreement:two")
LIMIT = 1_000


@pytest.fixture
def buyer(tmp_path: Path, database_url: str) -> Iterator[Running]:
    with connector(tmp_path, Registry(), "buyer", database_url=database_url) as running:
        yield running


def limit(buyer: Running, micro: int | None) -> None:
    with buyer.runtime.database.unit_of_work() as uow:
        store.set_limit(uow, IT, micro)


def sums(buyer: Running) -> tuple[int, int]:
    with buyer.runtime.database.unit_of_work() as uow:
        return store.sums(uow, IT, service.month_now(buyer.runtime))


def charged(micro: int) -> dict[str, str]:
    return {
        "databank-charge-micro": str(micro - micro // 11),
        "databank-vat-micro": str(micro // 11),
    }


def test_acts_at_once_never_set_aside_more_than_the_limit(buyer: Running) -> None:
    limit(buyer, LIMIT)
    runtime = buyer.runtime

    def act(number: int) -> int:
        """Spend what the supplier would charge, as far as it may."""
        random = Random(number)
        act_id, price, spent = f"act-{number}", random.randrange(1, 200), 0
        try:
            most = service.reserve(runtime, IT, act_id, random.choice([price, price * 2]))
        except (SpendingBusyError, SpendingLimitError):
            return 0
        assert most is not None
        spent_now, reserved_now = sums(buyer)
        assert spent_now + reserved_now <= LIMIT
        if price > most or random.random() < 0.2:
            service.release(runtime, IT, act_id)  # the supplier refused
        else:
            service.settle(runtime, IT, act_id, charged(price))
            spent = price
        return spent

    with ThreadPoolExecutor(8) as pool:
        spent = sum(pool.map(act, range(120)))
    assert sums(buyer) == (spent, 0)
    assert 0 < spent <= LIMIT


def test_an_act_without_an_answer_stays_set_aside_until_it_is_settled(buyer: Running) -> None:
    limit(buyer, LIMIT)
    assert service.reserve(buyer.runtime, IT, "lost", 700) == 700
    assert service.reserve(buyer.runtime, IT, "next", None) == 300
    with pytest.raises(SpendingBusyError):
        service.reserve(buyer.runtime, IT, "third", 1)
    # sent again, it keeps what it has; a refusal now proves nothing about the first time
    assert service.reserve(buyer.runtime, IT, "lost", 5_000) == 700
    service.release(buyer.runtime, IT, "lost")
    assert sums(buyer) == (0, 1_000)
    service.settle(buyer.runtime, IT, "lost", charged(550))
    service.settle(buyer.runtime, IT, "lost", charged(550))  # delivered once more, not paid
    assert sums(buyer) == (550, 300)
    service.release(buyer.runtime, IT, "next")
    assert sums(buyer) == (550, 0)


def test_without_a_limit_nothing_is_held_and_what_was_spent_counts_later(buyer: Running) -> None:
    assert service.reserve(buyer.runtime, IT, "a", None) is None
    service.settle(buyer.runtime, IT, "a", charged(600))
    assert service.reserve(buyer.runtime, ANOTHER, "a", 9) == 9
    limit(buyer, LIMIT)
    assert service.reserve(buyer.runtime, IT, "b", None) == 400
    service.settle(buyer.runtime, IT, "b", charged(400))
    with pytest.raises(SpendingLimitError):
        service.reserve(buyer.runtime, IT, "c", 1)
    assert service.reserve(buyer.runtime, IT, "a", 7) == 7  # paid: it may be asked for again
    limit(buyer, None)
    assert service.reserve(buyer.runtime, IT, "c", None) is None


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"databank-charge-micro": "5"},
        {"databank-charge-micro": "free", "databank-vat-micro": "0"},
        {"databank-charge-micro": "9" * 30, "databank-vat-micro": "0"},
        {"databank-charge-micro": "9" * 19, "databank-vat-micro": "0"},
        {"databank-charge-micro": "-5", "databank-vat-micro": "0"},
        {"databank-charge-micro": "\u0665", "databank-vat-micro": "0"},
    ],
)
def test_an_act_whose_charge_is_not_told_stays_set_aside(
    buyer: Running, said: dict[str, str]
) -> None:
    """Without headers the act counted as free, and a number of 30 digits failed after it."""
    limit(buyer, LIMIT)
    assert service.reserve(buyer.runtime, IT, "act", 700) == 700
    with capture_logs() as logged:
        service.settle(buyer.runtime, IT, "act", said)
    assert sums(buyer) == (0, 700)
    assert [(one["event"], one["log_level"]) for one in logged] == [("charge_not_told", "warning")]


def test_a_charge_above_what_was_set_aside_counts_and_is_told_loudly(buyer: Running) -> None:
    limit(buyer, LIMIT)
    service.reserve(buyer.runtime, IT, "act", 100)
    with capture_logs() as logged:
        service.settle(buyer.runtime, IT, "act", charged(900))
    assert sums(buyer) == (900, 0)
    assert [one["log_level"] for one in logged] == ["error"]


def test_an_act_that_is_sent_again_in_a_later_month_counts_in_that_month(buyer: Running) -> None:
    """It kept its first month, so a month cost more than its limit."""
    limit(buyer, LIMIT)
    runtime = buyer.runtime
    before = runtime.clock() - timedelta(days=40)
    with runtime.database.unit_of_work() as uow:
        store.reserve(uow, IT, "late", f"{before:%Y-%m}", 900)
        store.reserve(uow, IT, "asleep", f"{before:%Y-%m}", 900)
    assert service.reserve(runtime, IT, "now", 300) == 300
    assert service.reserve(runtime, IT, "late", 800) == 700
    assert service.reserve(runtime, IT, "late", 600) == 600
    service.settle(runtime, IT, "now", charged(100))
    service.settle(runtime, IT, "late", charged(600))
    assert sums(buyer) == (700, 0)
    service.settle(runtime, IT, "asleep", charged(50))  # and what is settled later, then
    assert sums(buyer) == (750, 0)
