"""An agreement that was made goes on without catalog and listing, and says what it is about."""

from __future__ import annotations

import pytest

from databank.client.session import Session
from databank.kit.http import RemoteRefusedError
from schemas.management import AgreementList
from schemas.participant import Status
from schemas.problem import RemoteUnavailableError
from tests.support.connectors import Registry, Running
from tests.support.use import ROWS, Contract, contract, put_file


@pytest.fixture
def made(buyer: Running, supplier: Running) -> Contract:
    return contract(buyer, supplier, put_file(supplier))


def test_a_name_is_known_without_the_catalog_and_after_a_withdrawal(
    made: Contract, session: Session
) -> None:
    ref = f"supplier.{made.name}"
    sql = f"SELECT count(*) AS n FROM {ref}"
    assert session.sql(sql).to_arrow().to_pylist() == [{"n": ROWS}]
    path = f"/publications/{made.published.dataset.id}"
    assert made.supplier.manage("DELETE", path).is_success
    assert session.sql(sql).to_arrow().to_pylist() == [{"n": ROWS}]
    assert session.quote(sql).lines[0].supplier == "supplier"
    assert session.agree(ref) == made.agreement_id
    assert session.decisions(ref)
    found = session.show(ref)
    assert (found.is_listed, found.agreement_id) == (False, made.agreement_id)
    assert [c.name for c in found.listing.dataset.schema_.columns] == ["kwh"]


def test_the_catalog_is_asked_for_names_without_an_agreement(
    made: Contract, session: Session
) -> None:
    with pytest.raises(RemoteUnavailableError):
        session.sql("SELECT 1 AS one FROM supplier.something_else")
    with pytest.raises(RemoteUnavailableError):
        session.sql(f"SELECT 1 AS one FROM other.{made.name}")


def test_agreements_name_companies_and_dataset_on_both_sides(made: Contract) -> None:
    for side in (made.buyer, made.supplier):
        answer = AgreementList.model_validate(side.manage("GET", "/agreements").json())
        [view] = answer.agreements
        assert (view.provider_name, view.consumer_name) == ("supplier", "buyer")
        assert (view.provider_handle, view.dataset_name) == ("supplier", made.name)


def test_a_dataset_that_is_not_the_negotiated_one_is_refused(
    buyer: Running, supplier: Running
) -> None:
    published, other = put_file(supplier), put_file(supplier)
    request = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset": other.dataset.to_json(),
    }
    assert buyer.manage("POST", "/negotiations", json=request).status_code == 422


def test_a_dataset_with_much_to_say_is_no_obstacle(buyer: Running, supplier: Running) -> None:
    published = put_file(supplier)
    dataset = published.dataset.to_json()
    dataset["description"]["en"] = "x" * 1_000_000
    request = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset": dataset,
    }
    assert buyer.manage("POST", "/negotiations", json=request).status_code == 201


@pytest.mark.parametrize("who", ["supplier", "buyer"])
def test_a_suspension_of_either_side_is_told_as_such(
    who: str, made: Contract, session: Session, registry: Registry
) -> None:
    side, type_, said = {
        "supplier": (made.supplier, "supplier-suspended", "정지된 공급기업"),
        "buyer": (made.buyer, "not-joined", "정지되었습니다"),
    }[who]
    registry.set_status(side.runtime.did, Status.REVOKED)
    with pytest.raises(RemoteRefusedError) as refusal:
        session.sql(f"SELECT count(*) AS n FROM supplier.{made.name}")
    assert refusal.value.problem["type"] == f"urn:idb:problem:{type_}"
    assert said in refusal.value.problem["title"] + refusal.value.problem["detail"]


def test_who_has_not_joined_is_told_how(
    buyer: Running, session: Session, registry: Registry
) -> None:
    del registry.participants[buyer.runtime.did]
    with pytest.raises(RemoteRefusedError) as refusal:
        session.balance()
    assert refusal.value.problem["type"] == "urn:idb:problem:not-joined"
    assert "`databank join`" in refusal.value.detail.ko
