"""Offers for groups and claims: who sees, agrees and uses is told by its verified credential."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.identity import store
from schemas.attested import Attested
from schemas.dcp.credential import read_credential
from schemas.ids import did_web
from schemas.terms import Mode, Terms
from tests.integration.connector.test_publish import request, upload
from tests.integration.identity.conftest import member
from tests.support.connectors import Registry, Running, connector
from tests.support.contracts import call, message
from tests.support.registry import ADMIN, wait_until
from tests.support.use import Contract, contract, put_file

TERMS = Terms(
    modes=(Mode.QUERY, Mode.READ),
    recipient_groups=("안전협의회", "시범"),
    recipient_claims=("industry=C24",),
)
COUNT = "SELECT count(*) AS n FROM $data"


def attested(running: Running) -> Attested | None:
    runtime = running.runtime
    with runtime.database.unit_of_work() as uow:
        held = store.membership(uow, did_web(runtime.settings.broker_url), runtime.clock())
    return None if held is None else Attested.of(read_credential(held.payload)[1].subject)


def attest(broker: str, who: Running, groups: list[str], claims: list[str]) -> None:
    """Let the operator attest this, and wait until the company holds the new credential."""
    body = {"participant_id": who.runtime.did, "groups": groups, "claims": claims}
    answer = httpx.post(f"{broker}/participants/attestation", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    wanted = Attested(frozenset(groups), frozenset(claims))
    wait_until(lambda: attested(who) == wanted, "the new credential")


def sees(buyer: Running, supplier: Running, dataset_id: str) -> bool:
    answer = call(
        buyer, supplier, "POST", "/catalog/request", json=message("CatalogRequestMessage")
    )
    assert answer.status_code == 200, answer.text
    listed = [one["@id"] for one in answer.json().get("dataset", [])]
    single = call(buyer, supplier, "GET", f"/catalog/datasets/{dataset_id}")
    assert (single.status_code == 200) == (dataset_id in listed)
    return dataset_id in listed


@pytest.fixture
def rival(tmp_path: Path, broker: str) -> Iterator[Running]:
    with member(tmp_path / "rival", broker, "rival") as running:
        yield running


def test_only_who_is_attested_sees_agrees_and_uses(
    supplier: Running, buyer: Running, rival: Running, broker: str
) -> None:
    published = put_file(supplier, terms=TERMS)
    dataset_id = published.dataset.id
    assert not sees(buyer, supplier, dataset_id)
    attest(broker, rival, ["시범"], ["industry=C10"])
    attest(broker, buyer, ["시범", "다른"], ["industry=C24", "role=curator"])
    assert sees(buyer, supplier, dataset_id)
    assert not sees(rival, supplier, dataset_id)
    asked = {
        "provider_id": supplier.runtime.did,
        "dataset_id": dataset_id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset_title": published.dataset.title.ko,
    }
    pid = rival.manage("POST", "/negotiations", json=asked).json()["pid"]
    ended = rival.manage("GET", f"/negotiations/{pid}?wait_seconds=20").json()
    assert ended["state"] == "TERMINATED"
    assert "unknown-dataset" in str(ended)
    made = contract(buyer, supplier, published)
    assert made.query(COUNT).status_code == 200
    assert made.read().status_code == 200


def test_what_is_no_longer_attested_ends_at_the_next_use(
    supplier: Running, buyer: Running, broker: str
) -> None:
    attest(broker, buyer, ["시범"], ["industry=C24"])
    published = put_file(supplier, terms=TERMS)
    made = contract(buyer, supplier, published)
    assert made.query(COUNT).status_code == 200
    attest(broker, buyer, ["시범"], [])
    for refused in (made.query(COUNT), made.read(), made.quote(COUNT)):
        assert refused.status_code == 403, refused.text
        assert refused.json()["code"] == "recipient"
        assert "industry=C24" in refused.json()["detail"]
    [newest, *_] = made.decisions(buyer)
    assert (newest["is_allowed"], newest["code"]) == (False, "recipient")
    attest(broker, buyer, ["안전협의회"], ["industry=C24"])
    assert made.query(COUNT).status_code == 200
    assert sees(buyer, supplier, published.dataset.id)


def test_who_is_not_verified_now_is_denied_until_it_shows_its_credential(
    supplier: Running, buyer: Running, broker: str
) -> None:
    attest(broker, buyer, ["시범"], ["industry=C24"])
    made = contract(buyer, supplier, put_file(supplier, terms=TERMS))
    assert made.query(COUNT).status_code == 200  # starts the transfer process
    supplier.runtime.verifier.forget(buyer.runtime.did)
    assert supplier.runtime.verifier.attested(buyer.runtime.did) is None
    assert made.query(COUNT).status_code == 200  # its connector has shown it on the way
    codes = [one["code"] for one in made.decisions(buyer)]
    assert codes[:3] == ["allowed", "allowed", "recipient_unverified"]
    held = _id_of(buyer)
    with buyer.runtime.database.unit_of_work() as uow:  # nothing to show any more
        uow.session.delete(uow.session.get_one(store.CredentialRow, held))
    supplier.runtime.verifier.forget(buyer.runtime.did)  # what it was shown until now
    refused = made.query(COUNT)
    assert refused.status_code == 403, refused.text
    assert refused.json()["code"] == "recipient_unverified"


def _id_of(running: Running) -> str:
    runtime = running.runtime
    with runtime.database.unit_of_work() as uow:
        held = store.membership(uow, did_web(runtime.settings.broker_url), runtime.clock())
    assert held is not None
    return held.id


@pytest.mark.parametrize(
    "said",
    [
        {"groups": ["a b"]},
        {"groups": [""]},
        {"claims": ["industry"]},
        {"claims": ["=C24"]},
        {"claims": ["industry=\nC24"]},
    ],
)
def test_what_is_no_group_or_claim_is_not_attested(
    broker: str, buyer: Running, said: dict[str, Any]
) -> None:
    body = {"participant_id": buyer.runtime.did, **said}
    url = f"{broker}/participants/attestation"
    assert httpx.post(url, json=body, headers=ADMIN).status_code in {400, 422}
    assert httpx.post(url, json=body).status_code in {401, 403}
    nobody = {"participant_id": "did:web:nobody.example"}
    assert httpx.post(url, json=nobody, headers=ADMIN).status_code == 404
    found = httpx.get(url, params={"id": buyer.runtime.did}, headers=ADMIN).json()
    assert (found["groups"], found["claims"]) == ([], [])


def test_where_no_credentials_are_checked_such_terms_are_not_offered(tmp_path: Path) -> None:
    with connector(tmp_path / "supplier", Registry(), "supplier") as supplier:
        report = upload(supplier, "energy.csv", b"company,kwh\na,1\nb,2\n")
        public = [{"name": "company", "sensitivity": "public"}]
        terms = TERMS.model_dump(mode="json")
        body = request(report["upload_id"], terms=terms, columns=public)
        refused = supplier.manage("POST", "/publications", json=body)
        assert refused.status_code == 422, refused.text
        assert refused.json()["type"] == "urn:idb:problem:terms-do-not-fit"
        assert "identity=registry" in refused.json()["detail"]


def test_an_agreement_on_such_terms_is_denied_by_the_evaluator_alone(
    supplier: Running, buyer: Running, broker: str
) -> None:
    attest(broker, buyer, ["시범"], ["industry=C24"])
    made: Contract = contract(buyer, supplier, put_file(supplier, terms=TERMS))
    attest(broker, buyer, [], [])
    for _ in range(2):  # shown again, and still not attested
        assert made.query(COUNT).json()["code"] == "recipient"
