"""Joining and being looked up, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from databank.kit.clock import new_secret, system_clock
from schemas.ids import did_web
from schemas.participant import ParticipantList, Role, Status
from schemas.signature import generate_key
from schemas.token import issue
from tests.support.registry import ADMIN, Company, running_broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


def lookup(broker: str, **filters: str) -> ParticipantList:
    answer = httpx.get(f"{broker}/participants", params=filters)
    assert answer.status_code == 200
    return ParticipantList.model_validate(answer.json())


def slug(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition(":")[2]


def test_the_broker_stands_in_its_own_registry(broker: str) -> None:
    [me] = lookup(broker, handle="broker").participants
    assert (me.id, me.role, me.status) == (did_web(broker), Role.OPERATOR, Status.ACTIVE)
    document = httpx.get(f"{broker}/.well-known/did.json").json()
    assert document["verificationMethod"][0]["publicKeyJwk"]["x"] == me.jwk.x


def test_a_company_joins_and_is_found_by_id_and_by_handle(broker: str) -> None:
    hanbit = Company(broker, "hanbit", "http://localhost:9001")
    answer = hanbit.join()
    assert answer.status_code == 201, answer.text
    [found] = lookup(broker, id=hanbit.id).participants
    assert found.to_json() == answer.json()
    assert lookup(broker, handle="hanbit").participants == (found,)
    assert lookup(broker, handle="hanbit", id="did:web:other").participants == ()
    assert found in lookup(broker).participants


def test_the_same_request_again_is_answered_with_what_is_registered(broker: str) -> None:
    again = Company(broker, "again", "http://localhost:9002")
    first, second = again.join(), again.join()
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


@pytest.mark.parametrize(
    ("field", "value"),
    [("handle", "another"), ("name", "다른 이름"), ("brn", "124-81-00998"), ("role", "operator")],
)
def test_other_content_under_the_same_id_conflicts_and_names_the_field(
    broker: str, field: str, value: str
) -> None:
    company = Company(broker, f"content_{field}", f"http://{field}.test:9003")
    company.join()
    answer = company.join(**{field: value})
    assert (answer.status_code, slug(answer), answer.json()["field"]) == (
        409,
        "join-conflict",
        field,
    )


def test_another_key_under_the_same_id_conflicts_although_it_is_proved(broker: str) -> None:
    Company(broker, "owner", "http://localhost:9004").join()
    thief = Company(broker, "owner", "http://localhost:9004")
    answer = thief.join()
    assert (answer.status_code, answer.json()["field"]) == (409, "jwk")


def test_a_handle_belongs_to_one_participant(broker: str) -> None:
    Company(broker, "mirae", "http://localhost:9005").join()
    answer = Company(broker, "mirae", "http://localhost:9006").join()
    assert (answer.status_code, answer.json()["field"]) == (409, "handle")


def test_a_second_connector_under_one_business_number_waits_for_the_operator(broker: str) -> None:
    first = Company(broker, "plant_one", "http://localhost:9031").join(brn="120-81-47521")
    second = Company(broker, "plant_two", "http://localhost:9032").join(brn="120-81-47521")
    assert (first.json()["status"], second.json()["status"]) == ("active", "pending")


@pytest.mark.parametrize("handle", ["select", "order", "join"])
def test_a_word_of_sql_is_no_handle(broker: str, handle: str) -> None:
    answer = Company(broker, handle, f"http://{handle}.test:9033").join()
    assert answer.status_code == 422
    assert f"{handle}_1" in answer.json()["detail"]


def test_joining_needs_possession_of_the_key(broker: str) -> None:
    company = Company(broker, "possession", "http://localhost:9007")
    stranger = generate_key(company.id)
    answer = company.join(jwk=stranger.public.jwk)
    assert (answer.status_code, slug(answer)) == (401, "not-authenticated")
    assert lookup(broker, id=company.id).participants == ()


def test_joining_under_the_url_of_someone_else_is_refused(broker: str) -> None:
    company = Company(broker, "elsewhere", "http://localhost:9008")
    answer = company.join(connector_url="http://localhost:9009")
    assert answer.status_code == 401


def test_a_token_counts_once(broker: str) -> None:
    company = Company(broker, "replayed", "http://localhost:9010")
    header = company.authorization(did_web(broker))
    body = company.request()
    first = httpx.post(f"{broker}/participants", json=body, headers=header)
    second = httpx.post(f"{broker}/participants", json=body, headers=header)
    assert (first.status_code, second.status_code) == (201, 401)


def test_a_token_for_another_service_is_refused(broker: str) -> None:
    company = Company(broker, "audience", "http://localhost:9011")
    token = issue(
        key=company.key,
        issuer=company.id,
        audience="did:web:elsewhere.example",
        now=system_clock(),
        jti=new_secret(),
    )
    answer = httpx.post(
        f"{broker}/participants",
        json=company.request(),
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("brn", "123-45-67890"),
        ("brn", "12"),
        ("handle", "Hanbit"),
        ("handle", "h"),
        ("name", ""),
        ("name", "한빛\u202e정밀"),
        ("name", "한빛\n정밀"),
        ("connector_url", "ftp://localhost:1"),
        ("connector_url", "http://user:pw@localhost:1"),
        ("connector_url", "http://localhost:1/?q"),
        ("connector_url", "http://[::1]:80"),
        ("connector_url", "http://localhost:99999"),
        ("jwk", {"kty": "OKP", "crv": "Ed25519", "x": "short"}),
        ("jwk", {"kty": "oct", "crv": "Ed25519", "x": "A" * 43}),
    ],
)
def test_malformed_requests_say_where(broker: str, field: str, value: object) -> None:
    company = Company(broker, "malformed", "http://localhost:9012")
    answer = company.join(**{field: value})
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")
    assert field in answer.text


def test_the_operator_role_needs_the_operator_secret(tmp_path: Path) -> None:
    with running_broker(tmp_path, operator_secret="s3cret-업") as broker:
        catalog = Company(broker, "catalog", "http://localhost:9013")
        without: dict[str, str] = {}
        for headers in (without, {"Databank-Operator": "wrong"}):
            answer = catalog.join_as_operator(**headers)
            assert (answer.status_code, slug(answer)) == (403, "operator-secret")


def test_the_right_operator_secret_is_enough(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    with running_broker(tmp_path / "data", operator_secret_file=secret) as broker:
        catalog = Company(broker, "catalog", "http://localhost:9014")
        answer = catalog.join_as_operator(**{"Databank-Operator": "s3cret"})
        assert (answer.status_code, answer.json()["status"]) == (201, "active")


def test_in_production_connectors_are_reached_on_the_open_internet(tmp_path: Path) -> None:
    production = {"env": "production", "public_url": "https://broker.example"}
    with running_broker(tmp_path, **production) as broker:
        for url in ("http://localhost:9015", "https://10.0.0.1", "https://127.1"):
            company = Company(broker, "inside", url)
            answer = company.join_as_seen_by("did:web:broker.example")
            assert (answer.status_code, slug(answer)) == (422, "connector-url"), url


def test_production_may_be_told_to_allow_its_own_network(tmp_path: Path) -> None:
    production = {"env": "production", "public_url": "https://broker.example"}
    with running_broker(tmp_path, **production, allow_private_networks=True) as broker:
        company = Company(broker, "inside", "http://connector:8401")
        answer = company.join_as_seen_by("did:web:broker.example")
        assert answer.status_code == 201


def test_a_restarted_broker_knows_everybody_and_holds_its_own_entry_up_to_date(
    tmp_path: Path,
) -> None:
    with running_broker(tmp_path) as first:
        Company(first, "hanbit", "http://localhost:9016").join()
    with running_broker(tmp_path) as second:
        handles = [p.handle for p in lookup(second).participants]
        assert sorted(handles) == ["broker", "hanbit"]
        [me] = lookup(second, handle="broker").participants
        assert me.connector_url == second


def test_admin_routes_need_the_admin_token(broker: str) -> None:
    body = {"participant_id": "did:web:x", "reason": "r"}
    for path in ("/participants/approval", "/participants/revocation"):
        assert httpx.post(broker + path, json=body).status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert httpx.post(broker + path, json=body, headers=wrong).status_code == 401
        assert httpx.post(broker + path, json=body, headers=ADMIN).status_code == 404
