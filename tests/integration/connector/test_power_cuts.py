"""Wherever the supplier's power fails, each act is metered, delivered and charged once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from structlog.testing import capture_logs

from schemas.price import PriceComponent, PriceKind, PricePlan
from tests.support.connectors import Registry, Running, connector
from tests.support.power import Power, PoweredTransport
from tests.support.use import ADMIN, ROWS, Contract, clearing_service, contract, put_file
from tests.support.use import wait_until as wait

DEPOSIT_WON: Final = 1_000_000
STRIDES: Final = 20  # every moment is some stride's
LONG: Final = "DATABANK_LONG_TESTS"  # set: all strides, some minutes; else two of them
PLAN: Final = PricePlan(
    components=(
        PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=7_000_000),
        PriceComponent(kind=PriceKind.PER_ROW, amount_micro=300_001),
    )
)


@dataclass(frozen=True)
class Outcome:
    """What the world holds at the end."""

    answers: list[Any]
    recorded: int
    booked: list[tuple[str, int, int, int]]
    deposit_micro: str
    trial: dict[str, Any]


class World:
    """A supplier that may be restarted, with a buyer and a clearing service that stay."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._registry = Registry()
        self.power = Power()
        self.clearing = stack.enter_context(clearing_service(folder / "clearing", self._registry))
        self.supplier, self._supplier_stack = self._start(self.power, port=0)
        buyer = connector(folder / "buyer", self._registry, "buyer", clearing_url=self.clearing)
        self.buyer: Running = stack.enter_context(buyer)
        self._is_over = False
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor")
        self._supervisor.start()
        stack.callback(self._end)

    def _start(self, power: Power, *, port: int) -> tuple[Running, ExitStack]:
        own = self._stack.enter_context(ExitStack())
        http = httpx.Client(transport=PoweredTransport(power), timeout=10, trust_env=False)
        running = connector(
            self._folder / "supplier",
            self._registry,
            "supplier",
            port=port,
            http=http,
            prepare=power.drive,
            clearing_url=self.clearing,
        )
        return own.enter_context(running), own

    def _supervise(self) -> None:
        """Bring the supplier back, once, on what its disk holds."""
        self.power.failed.wait()
        if self._is_over:
            return
        port = urlsplit(self.supplier.url).port
        assert port is not None
        self._supplier_stack.close()
        self.supplier, self._supplier_stack = self._start(Power(), port=port)

    def _end(self) -> None:
        self._is_over = not self.power.failed.is_set()
        self.power.failed.set()
        self._supervisor.join()

    def deposit(self) -> None:
        answer = httpx.post(
            f"{self.clearing}/deposits",
            json={
                "deposit_id": "urn:uuid:0195d000-0000-7000-8000-000000000001",
                "participant_id": self.buyer.runtime.did,
                "amount_won": str(DEPOSIT_WON),
            },
            headers={"Authorization": f"Bearer {ADMIN}"},
        )
        answer.raise_for_status()

    def meter(self) -> dict[str, Any]:
        """Return the supplier's meter, or nothing while it is away."""
        token = self.supplier.app.state.context.admin_token
        url = f"{self.supplier.url}/management/meter"
        try:
            answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"})
        except httpx.TransportError:
            return {}
        found: dict[str, Any] = answer.json() if answer.is_success else {}
        return found

    def trial(self) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.clearing}/trial-balance", headers={"Authorization": f"Bearer {ADMIN}"}
        )
        found: dict[str, Any] = answer.raise_for_status().json()
        del found["entries_count"]  # one a batch, and a cut may change what a batch holds
        return found


def insist(call: Callable[[], httpx.Response]) -> httpx.Response:
    """Send the same again until it is answered, as a buyer would."""
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        answers.append(call())
        assert answers[-1].is_success or answers[-1].status_code >= 500, answers[-1].text
        return answers[-1].is_success

    wait(is_answered, "an answer")
    return answers[-1]


def use(made: Contract) -> list[Any]:
    """Two queries and a file in two pieces."""
    answers: list[Any] = []
    for number, limit in enumerate((100, 1)):
        sql = f"SELECT kwh FROM $data ORDER BY kwh LIMIT {limit}"
        answer = insist(lambda sql=sql, n=number: made.query(sql, f"query-number-{n}"))  # type: ignore[misc]
        answers.append(pa.ipc.open_stream(answer.content).read_all().to_pydict())
    half = 900_000
    first = insist(lambda: made.read(Range=f"bytes=0-{half - 1}"))
    rest = insist(lambda: made.read(Range=f"bytes={half}-"))
    table = pa.ipc.open_file(first.content + rest.content).read_all()
    answers.append((table.num_rows, pc.sum(table["kwh"]).as_py()))
    return answers


def run(folder: Path, cut_at: int | None) -> tuple[Outcome, int]:
    """Use the data while the power fails at a moment; return what it comes to."""
    with ExitStack() as stack:
        stack.enter_context(capture_logs())  # hundreds of PowerCutError are no news
        world = World(folder, stack)
        made = contract(world.buyer, world.supplier, put_file(world.supplier, plan=PLAN))
        world.deposit()
        world.power.arm(cut_at)
        answers = use(made)
        outcome = settle(world, made, answers)
        return outcome, world.power.moments


def settle(world: World, made: Contract, answers: list[Any]) -> Outcome:
    """Wait until clearing has acknowledged everything, then look at the books."""

    seen: dict[str, Any] = {}

    def is_acknowledged() -> bool:
        seen.update(world.meter())
        return bool(seen) and seen["recorded"] == seen["acknowledged"]

    wait(is_acknowledged, "all records acknowledged")
    client = world.buyer.runtime.client
    records = client.call_json(
        "GET",
        f"{world.clearing}/usage/records",
        params={"agreement_id": made.agreement_id},
    )["records"]
    return Outcome(
        answers=answers,
        recorded=seen["recorded"],
        booked=[
            (r["act"], int(r["queries_count"]), int(r["rows_count"]), int(r["bytes_count"]))
            for r in records
        ],
        deposit_micro=world.buyer.manage("GET", "/balance").json()["deposit_micro"],
        trial=world.trial(),
    )


@pytest.mark.parametrize("stride", range(STRIDES) if os.environ.get(LONG) else (0, 10))
def test_no_power_cut_changes_what_was_delivered_metered_and_paid(
    tmp_path: Path, stride: int
) -> None:
    calm, moments = run(tmp_path / "calm", None)
    assert calm.recorded == 4
    assert calm.answers[2][0] == ROWS
    assert calm.trial["accrual_debits_micro"] == calm.trial["accrual_credits_micro"]
    assert moments > 20
    for cut_at in range(1 + stride, moments + 1, STRIDES):
        outcome, _ = run(tmp_path / f"cut-{cut_at}", cut_at)
        assert outcome == calm, f"power cut at moment {cut_at}"
