"""Offers and counter-offers, and companies that decide later or otherwise than by default."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.agreement import store as agreements
from connector.negotiation import service as negotiating
from connector.negotiation import store as negotiations
from connector.negotiation.decide import Move, Situation
from connector.negotiation.machine import Message, State
from connector.negotiation.model import Negotiation
from connector.offering.model import Published
from connector.runtime import Deciders
from connector.side import IllegalTransitionError
from databank.kit.clock import new_urn
from schemas.ids import AgreementId, ProcessId
from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import call, message, negotiate, request_message, wait

DEARER = {"permission": [{"action": "use"}], "prohibition": [{"action": "sell"}]}


class Scripted:
    """Answers each state with its next prepared move; where none is left, it waits."""

    def __init__(self, **moves: list[Move]) -> None:
        self._moves = {State[name]: list(prepared) for name, prepared in moves.items()}

    def next_move(self, negotiation: Negotiation, situation: Situation) -> Move | None:
        del situation
        prepared = self._moves.get(negotiation.state)
        return prepared.pop(0) if prepared else None


class NeverStarts:
    """Leaves every transfer process as it is."""

    def next_move(self, process: object) -> None:
        del process


@contextmanager
def company(folder: Path, registry: Registry, name: str, **moves: list[Move]) -> Iterator[Running]:
    deciders = Deciders(negotiation=Scripted(**moves))
    with connector(folder / name, registry, name, deciders=deciders) as running:
        yield running


def ask(buyer: Running, supplier: Running, published: Published) -> str:
    body = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
    }
    return str(buyer.manage("POST", "/negotiations", json=body).json()["pid"])


def wait_until(running: Running, path: str, **wanted: Any) -> dict[str, Any]:
    """Return what stands at ``path`` once it has the wanted values."""
    while True:
        seen = running.runtime.processes.count
        shown: dict[str, Any] = running.manage("GET", path).json()
        if all(shown[name] == value for name, value in wanted.items()):
            return shown
        assert running.runtime.processes.wait(seen, 20) != seen, f"{shown} and not {wanted}"


def provider_pid(buyer: Running, path: str) -> str:
    """Return the supplier's pid once the buyer's request is acknowledged."""
    while True:
        seen = buyer.runtime.processes.count
        pid = buyer.manage("GET", path).json()["provider_pid"]
        if pid is not None:
            return str(pid)
        assert buyer.runtime.processes.wait(seen, 20) != seen, "the request is not acknowledged"


def test_both_sides_counter_and_agree_on_what_was_offered_last(
    tmp_path: Path, registry: Registry
) -> None:
    with (
        company(
            tmp_path,
            registry,
            "supplier",
            REQUESTED=[Move(Message.OFFER, offer={"@id": new_urn(), **DEARER})] * 2,
            ACCEPTED=[Move(Message.AGREE)],
            VERIFIED=[Move(Message.FINALIZE)],
        ) as supplier,
        company(
            tmp_path,
            registry,
            "buyer",
            OFFERED=[
                Move(Message.REQUEST, offer={"@id": new_urn(), "permission": [{"action": "read"}]}),
                Move(Message.ACCEPT),
            ],
            AGREED=[Move(Message.VERIFY)],
        ) as buyer,
    ):
        ended = negotiate(buyer, supplier, publish(supplier.runtime, "energy"))
        assert ended["state"] == "FINALIZED", ended
        for running in (supplier, buyer):
            with running.runtime.database.unit_of_work() as uow:
                agreed = agreements.get(uow, AgreementId(ended["agreement_id"]))
            assert agreed is not None
            assert {n: agreed.policy.get(n) for n in DEARER} == DEARER


def test_a_negotiation_waits_for_whoever_decides_later(tmp_path: Path, registry: Registry) -> None:
    with (
        company(tmp_path, registry, "supplier", VERIFIED=[Move(Message.FINALIZE)]) as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
    ):
        pid = ask(buyer, supplier, publish(supplier.runtime, "energy"))
        ours = ProcessId(provider_pid(buyer, f"/negotiations/{pid}"))
        with supplier.runtime.database.unit_of_work() as uow:
            waiting = negotiations.get(uow, ours)
            assert waiting is not None
            assert waiting.state is State.REQUESTED
            with pytest.raises(IllegalTransitionError):
                negotiating.act(uow, supplier.runtime, waiting, Move(Message.FINALIZE))
            negotiating.act(uow, supplier.runtime, waiting, Move(Message.AGREE))
        assert wait(buyer, f"/negotiations/{pid}")["state"] == "FINALIZED"


def test_the_same_offer_made_anew_is_not_taken_for_a_repetition(
    tmp_path: Path, registry: Registry
) -> None:
    """An accepted offer is not open to another one, even of the same words."""
    with (
        connector(tmp_path / "supplier", registry, "supplier") as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
    ):
        published = publish(supplier.runtime, "energy")
        buyer.app.state.dispatcher.stop()  # the supplier speaks, by hand
        pid = ask(buyer, supplier, published)
        offer = {**published.offer(), "target": published.dataset.id}
        said = {"consumerPid": pid, "providerPid": new_urn(), "offer": offer}
        path = f"/negotiations/{pid}/offers"
        first, second = (
            message("ContractOfferMessage", **{"@id": new_urn(), **said}) for _ in range(2)
        )
        assert call(supplier, buyer, "POST", path, json=first).status_code == 200
        assert call(supplier, buyer, "POST", path, json=first).status_code == 200
        refused = call(supplier, buyer, "POST", path, json=second)
        assert (refused.status_code, refused.json()["code"]) == (400, "illegal-transition")
        assert wait_until(buyer, f"/negotiations/{pid}", state="ACCEPTED")


def test_a_counter_request_while_another_is_open_is_refused(
    tmp_path: Path, registry: Registry
) -> None:
    offered = Move(Message.OFFER, offer={"@id": new_urn(), **DEARER})
    with (
        company(tmp_path, registry, "supplier", REQUESTED=[offered]) as supplier,
        company(tmp_path, registry, "buyer") as buyer,
    ):
        published = publish(supplier.runtime, "energy")
        pid = ask(buyer, supplier, published)
        wait_until(buyer, f"/negotiations/{pid}", state="OFFERED")
        pids = {"consumerPid": pid, "providerPid": provider_pid(buyer, f"/negotiations/{pid}")}
        offer = {**published.offer(), "target": published.dataset.id}
        path = f"/negotiations/{pids['providerPid']}/request"
        statuses = []
        for _ in range(2):
            said = message("ContractRequestMessage", **{"@id": new_urn(), **pids, "offer": offer})
            statuses.append(call(buyer, supplier, "POST", path, json=said).status_code)
        assert statuses == [200, 400]


@pytest.mark.parametrize("who", ["supplier", "buyer"])
def test_an_offer_about_another_dataset_is_refused(
    tmp_path: Path, registry: Registry, who: str
) -> None:
    offered = Move(Message.OFFER, offer={"@id": new_urn(), **DEARER})
    with (
        company(tmp_path, registry, "supplier", REQUESTED=[offered]) as supplier,
        company(tmp_path, registry, "buyer") as buyer,
    ):
        published = publish(supplier.runtime, "energy")
        other = {**published.offer(), "target": publish(supplier.runtime, "other").dataset.id}
        if who == "supplier":
            buyer.app.state.dispatcher.stop()
            pid = ask(buyer, supplier, published)
            pids = {"consumerPid": pid, "providerPid": new_urn()}
            said = message("ContractOfferMessage", **pids, offer=other)
            answer = call(supplier, buyer, "POST", f"/negotiations/{pid}/offers", json=said)
        else:
            pid = ask(buyer, supplier, published)
            wait_until(buyer, f"/negotiations/{pid}", state="OFFERED")
            pids = {"consumerPid": pid, "providerPid": provider_pid(buyer, f"/negotiations/{pid}")}
            said = message("ContractRequestMessage", **pids, offer=other)
            path = f"/negotiations/{pids['providerPid']}/request"
            answer = call(buyer, supplier, "POST", path, json=said)
        assert (answer.status_code, answer.json()["code"]) == (400, "other-dataset")


def test_no_decider_verifies_an_agreement_that_was_not_offered(
    tmp_path: Path, registry: Registry
) -> None:
    with (
        connector(tmp_path / "supplier", registry, "supplier") as supplier,
        company(tmp_path, registry, "buyer", AGREED=[Move(Message.VERIFY)]) as buyer,
    ):
        published = publish(supplier.runtime, "energy")
        buyer.app.state.dispatcher.stop()
        pid = ask(buyer, supplier, published)
        agreement = {
            **published.offer(),
            **DEARER,
            "@id": new_urn(),
            "@type": "Agreement",
            "target": published.dataset.id,
            "assigner": supplier.runtime.did,
            "assignee": buyer.runtime.did,
            "timestamp": "2026-11-24T05:00:00Z",
        }
        pids = {"consumerPid": pid, "providerPid": new_urn()}
        said = message("ContractAgreementMessage", **pids, agreement=agreement)
        assert call(supplier, buyer, "POST", f"/negotiations/{pid}/agreement", json=said).is_success
        shown = wait(buyer, f"/negotiations/{pid}")
        assert (shown["state"], shown["agreement_id"]) == ("TERMINATED", None)


def test_two_negotiations_cannot_conclude_one_agreement(tmp_path: Path, registry: Registry) -> None:
    """A supplier names the same agreement in both: the second is refused, and nothing changes."""
    with (
        connector(tmp_path / "supplier", registry, "supplier") as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
    ):
        published = publish(supplier.runtime, "energy")
        buyer.app.state.dispatcher.stop()  # the supplier speaks, by hand
        agreement = {
            **published.offer(),
            "@id": new_urn(),
            "@type": "Agreement",
            "target": published.dataset.id,
            "assigner": supplier.runtime.did,
            "assignee": buyer.runtime.did,
            "timestamp": "2026-11-24T05:00:00Z",
        }
        both = [
            {"consumerPid": ask(buyer, supplier, published), "providerPid": new_urn()}
            for _ in range(2)
        ]
        for pids in both:
            said = message("ContractAgreementMessage", **pids, agreement=agreement)
            path = f"/negotiations/{pids['consumerPid']}/agreement"
            assert call(supplier, buyer, "POST", path, json=said).is_success
        answers = []
        for pids in both:
            said = message("ContractNegotiationEventMessage", **pids, eventType="FINALIZED")
            path = f"/negotiations/{pids['consumerPid']}/events"
            answers.append(call(supplier, buyer, "POST", path, json=said))
        assert [answer.status_code for answer in answers] == [200, 400]
        assert answers[1].json()["code"] == "agreement-taken"
        shown = buyer.manage("GET", f"/negotiations/{both[1]['consumerPid']}").json()
        assert shown["state"] == "VERIFIED"


@pytest.mark.parametrize("feature", ["negotiations", "transfers"])
def test_what_ends_before_its_acknowledgement_is_ended_at_the_other_side_too(
    tmp_path: Path, registry: Registry, feature: str
) -> None:
    """The request is on its way when the buyer changes its mind: the supplier hears of it."""
    is_ended = threading.Event()

    def hold(request: httpx.Request) -> None:
        if request.url.path.endswith(f"/{feature}/request"):
            assert is_ended.wait(20)

    http = httpx.Client(timeout=30, trust_env=False, event_hooks={"request": [hold]})
    waits = Deciders(negotiation=Scripted(), transfer=NeverStarts())
    deciders = waits if feature == "negotiations" else Deciders(transfer=NeverStarts())
    with (
        connector(tmp_path / "supplier", registry, "supplier", deciders=deciders) as supplier,
        connector(tmp_path / "buyer", registry, "buyer", http=http) as buyer,
    ):
        published = publish(supplier.runtime, "energy")
        if feature == "negotiations":
            pid = ask(buyer, supplier, published)
        else:
            agreement_id = negotiate(buyer, supplier, published)["agreement_id"]
            body = {"agreement_id": agreement_id}
            pid = buyer.manage("POST", "/transfers", json=body).json()["pid"]
        path = f"/{feature}/{pid}"
        ended = buyer.manage("POST", f"{path}/termination", json={"reason": "마음이 바뀜"})
        assert (ended.json()["state"], ended.json()["provider_pid"]) == ("TERMINATED", None)
        is_ended.set()
        theirs = provider_pid(buyer, path)
        shown = wait_until(supplier, f"/{feature}/{theirs}", state="TERMINATED")
        assert shown["reason"] == "마음이 바뀜"


def test_a_supplier_that_answers_nothing_leaves_the_request_open(
    tmp_path: Path, registry: Registry
) -> None:
    with (
        company(tmp_path, registry, "supplier") as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
    ):
        asked = request_message(buyer, publish(supplier.runtime, "energy"))
        answer = call(buyer, supplier, "POST", "/negotiations/request", json=asked)
        assert (answer.status_code, answer.json()["state"]) == (201, "REQUESTED")
        path = f"/negotiations/{answer.json()['providerPid']}"
        assert call(buyer, supplier, "GET", path).json()["state"] == "REQUESTED"
        end = {n: answer.json()[n] for n in ("consumerPid", "providerPid")}
        said = message("ContractNegotiationTerminationMessage", **end)
        assert call(buyer, supplier, "POST", f"{path}/termination", json=said).status_code == 200
        assert call(buyer, supplier, "GET", path).json()["state"] == "TERMINATED"
