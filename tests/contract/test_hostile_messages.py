"""Protocol messages that were good before someone changed them.

``DATABANK_LONG_TESTS=1`` draws some thousands of each; else a bounded part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from databank.kit.clock import new_urn
from schemas.dcat import FORMAT_READ
from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import DSP, Contract, contract, message, request_message
from tests.support.hostile import Attack, mutations, send, tally

LONG: Final = bool(os.environ.get("DATABANK_LONG_TESTS"))
EXAMPLES: Final = 100 if LONG else 60
ROUNDS: Final = 40 if LONG else 1  # one long round spends its time on looking for what is new
EVERY_HEALTH_CHECK: Final = list(HealthCheck)


@dataclass(frozen=True)
class Market:
    """A buyer, a supplier, and a contract between them that messages can name."""

    buyer: Running
    supplier: Running
    made: Contract
    request: dict[str, Any]

    @property
    def url(self) -> str:
        return self.supplier.url

    @property
    def engine(self) -> Engine:
        return self.supplier.runtime.database.engine

    def headers(self, path: str, *, is_known: bool) -> dict[str, str]:
        del path
        if not is_known:
            return {"Authorization": "Bearer nobody"}
        return self.buyer.runtime.client.authorization(self.supplier.runtime.did)

    def routes(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return each message with the path that it is sent to, by name."""
        deal, process = self.made.pids("negotiation"), self.made.pids("transfer")
        at_deal = f"/negotiations/{deal['providerPid']}"
        at_process = f"/transfers/{process['providerPid']}"
        event = message("ContractNegotiationEventMessage", eventType="ACCEPTED", **deal)
        ending = {"code": "1", "reason": [{"@value": "끝", "@language": "ko"}]}
        transfer = {
            "agreementId": self.made.negotiation["agreement_id"],
            "format": FORMAT_READ,
            "callbackAddress": f"{self.buyer.url}{DSP}",
            "consumerPid": new_urn(),
        }
        return {
            "catalog": ("/catalog/request", message("CatalogRequestMessage", filter=[])),
            "request": ("/negotiations/request", self.request),
            "counter": (f"{at_deal}/request", {**self.request, **deal}),
            "event": (f"{at_deal}/events", event),
            "verification": (
                f"{at_deal}/agreement/verification",
                message("ContractAgreementVerificationMessage", **deal),
            ),
            "termination": (
                f"{at_deal}/termination",
                message("ContractNegotiationTerminationMessage", **deal, **ending),
            ),
            "transfer": ("/transfers/request", message("TransferRequestMessage", **transfer)),
            "start": (f"{at_process}/start", message("TransferStartMessage", **process)),
            "suspension": (
                f"{at_process}/suspension",
                message("TransferSuspensionMessage", **process, **ending),
            ),
            "completion": (
                f"{at_process}/completion",
                message("TransferCompletionMessage", **process),
            ),
        }


NAMES: Final = (
    "catalog",
    "request",
    "counter",
    "event",
    "verification",
    "termination",
    "transfer",
    "start",
    "suspension",
    "completion",
)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder: Path = tmp_path_factory.mktemp("market")
    registry = Registry()
    with (
        connector(folder / "buyer", registry, "buyer") as buyer,
        connector(folder / "supplier", registry, "supplier") as supplier,
    ):
        made = contract(buyer, supplier)
        request = request_message(buyer, publish(supplier.runtime, "second"))
        supplier.app.state.dispatcher.stop()  # else answers that nobody takes end what they began
        yield Market(buyer, supplier, made, request)


def test_every_message_has_its_route(market: Market) -> None:
    assert tuple(market.routes()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_message_is_answered_and_a_refusal_changes_nothing(
    market: Market, name: str
) -> None:
    path, good = market.routes()[name]

    @settings(max_examples=EXAMPLES, suppress_health_check=EVERY_HEALTH_CHECK, database=None)
    @given(content=mutations(good), is_known=st.integers(0, 9).map(bool))
    def attack(content: bytes, is_known: bool) -> None:  # noqa: FBT001 - hypothesis names them
        headers = {"Content-Type": "application/json", **market.headers(path, is_known=is_known)}
        url = f"{market.url}{DSP}{path}"
        answer = send(market.buyer.http, Attack("POST", url, headers, content), market)
        assert answer is not None
        answers[answer.status_code] += 1
        if not is_known:
            assert answer.status_code in {401, 404}

    with tally(f"message {name}") as answers:
        for _ in range(ROUNDS):
            attack()
