"""Our credential service and the broker's issuer service, as wallets of other makes use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from connector.identity import store
from connector.identity.model import Asked
from databank.kit.clock import new_secret, new_urn, system_clock
from databank.kit.http import Identity, ServiceClient
from schemas.dcp.credential import MEMBERSHIP, read_credential
from schemas.dcp.did import DidDocument
from schemas.dcp.message import (
    CONTEXT,
    CredentialContainer,
    CredentialMessage,
    Profile,
    RequestStatus,
    type_scope,
)
from schemas.dcp.presentation import open_presentation
from schemas.dcp.token import issue_access_token
from schemas.ids import ParticipantId, did_web
from tests.support.connectors import Running
from tests.support.registry import wait_until
from tests.support.wallet import EcKey, Issuer, Wallet, wallet

SCOPE: Final = type_scope(MEMBERSHIP)
NOBODY: Final = "did:web:nobody.example"


@pytest.fixture
def verifier() -> Iterator[Wallet]:
    """A verifier that no registry knows."""
    with wallet() as running:
        yield running


def access_token(holder: Running, verifier: str, *scopes: str) -> str:
    return issue_access_token(
        key=holder.runtime.identity.key,
        own=holder.runtime.did,
        verifier=verifier,
        scopes=scopes or (SCOPE,),
        now=system_clock(),
        jti=new_secret(),
    )


def query(
    holder: Running, verifier: Wallet, body: dict[str, Any], token: str | None = None
) -> httpx.Response:
    shown = token or access_token(holder, verifier.did)
    headers = verifier.token(holder.runtime.did, access_token=shown)
    message = {"@context": list(CONTEXT), "type": "PresentationQueryMessage", **body}
    return holder.http.post(f"{holder.url}/dcp/presentations/query", json=message, headers=headers)


def test_a_foreign_verifier_gets_what_the_access_token_allows(
    supplier: Running, verifier: Wallet
) -> None:
    answer = query(supplier, verifier, {"scope": [SCOPE]})
    assert answer.status_code == 200, answer.text
    [presentation] = answer.json()["presentation"]
    holder = supplier.runtime.did
    document = DidDocument.of(holder, [supplier.runtime.identity.key.public])
    [token] = open_presentation(presentation, document, verifier=verifier.did, now=system_clock())
    _, credential = read_credential(token)
    assert credential.subject_id == holder
    assert credential.issuer == did_web(supplier.runtime.settings.broker_url)
    assert MEMBERSHIP in credential.types


def test_a_verifier_with_a_p256_key_is_understood(supplier: Running, verifier: Wallet) -> None:
    key = EcKey(f"{verifier.did}#ec")
    verifier.other_keys = [key.public]
    now = int(system_clock().timestamp())
    claims = {
        "iss": verifier.did,
        "sub": verifier.did,
        "aud": supplier.runtime.did,
        "iat": now,
        "exp": now + 600,
        "jti": new_secret(),
        "token": access_token(supplier, verifier.did),
    }
    message = {"@context": list(CONTEXT), "type": "PresentationQueryMessage", "scope": [SCOPE]}
    url, wrong = f"{supplier.url}/dcp/presentations/query", EcKey(key.kid)
    for signer, status in ((wrong, 401), (key, 200)):
        headers = {"Authorization": f"Bearer {signer.jwt(claims)}"}
        assert supplier.http.post(url, json=message, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scope": [SCOPE], "presentationDefinition": {"id": "x"}}, 400),
        ({}, 400),
        ({"scope": []}, 400),
        ({"presentationDefinition": {}}, 400),
        ({"presentationDefinition": None}, 400),
        ({"presentationDefinition": {"id": "x"}}, 501),
        ({"@context": ["https://example.org/"], "scope": [SCOPE]}, 400),
        ({"type": "Other", "scope": [SCOPE]}, 400),
    ],
)
def test_malformed_queries(
    supplier: Running, verifier: Wallet, body: dict[str, Any], status: int
) -> None:
    assert query(supplier, verifier, body).status_code == status


@pytest.mark.parametrize(
    "scope", [type_scope("SensitiveDataCredential"), "org.example:MembershipCredential:read"]
)
def test_what_is_not_held_or_not_a_scope_is_not_shown(
    supplier: Running, verifier: Wallet, scope: str
) -> None:
    answer = query(supplier, verifier, {"scope": [scope]})
    assert answer.json()["presentation"] == []


def test_the_access_token_bounds_what_is_shown(supplier: Running, verifier: Wallet) -> None:
    token = access_token(supplier, verifier.did, type_scope("SensitiveDataCredential"))
    answer = query(supplier, verifier, {"scope": [SCOPE]}, token)
    assert answer.status_code == 200
    assert answer.json()["presentation"] == []


def test_an_access_token_of_another_verifier_or_key_is_refused(
    supplier: Running, verifier: Wallet
) -> None:
    others = access_token(supplier, NOBODY)
    assert query(supplier, verifier, {"scope": [SCOPE]}, others).status_code == 401
    forged = issue_access_token(
        key=verifier.key,
        own=supplier.runtime.did,
        verifier=verifier.did,
        scopes=(SCOPE,),
        now=system_clock(),
        jti=new_secret(),
    )
    assert query(supplier, verifier, {"scope": [SCOPE]}, forged).status_code == 401


def issuer_headers(issuer: Issuer, holder: Running) -> dict[str, str]:
    with httpx.Client(trust_env=False) as http:
        client = ServiceClient(
            Identity(issuer.did, issuer.key), clock=system_clock, make_jti=new_secret, http=http
        )
        return client.authorization(holder.runtime.did)


def deliver(
    holder: Running, headers: dict[str, str], payload: str, holder_pid: str
) -> httpx.Response:
    body = CredentialMessage(
        issuer_pid="issuer-1",
        holder_pid=holder_pid,
        status="ISSUED",
        credentials=(
            CredentialContainer(
                credential_type=MEMBERSHIP, payload=payload, format=Profile.VC11.value
            ),
        ),
    ).to_json()
    return holder.http.post(f"{holder.url}/dcp/credentials", json=body, headers=headers)


def asked(holder: Running, issuer: ParticipantId) -> str:
    runtime = holder.runtime
    request = Asked(new_urn(), issuer, RequestStatus.RECEIVED, runtime.clock())
    with runtime.database.unit_of_work() as uow:
        store.note_request(uow, request)
    return request.holder_pid


def test_only_what_was_asked_for_is_taken(supplier: Running, issuer: Issuer) -> None:
    holder = supplier.runtime.did
    good = issuer.issue(holder)
    unasked = deliver(supplier, issuer_headers(issuer, supplier), good, "never-asked")
    assert unasked.status_code == 404
    pid = asked(supplier, issuer.did)
    for payload in (issuer.issue(ParticipantId(NOBODY)), "not.a.jwt", good[:-4] + "AAAA"):
        answer = deliver(supplier, issuer_headers(issuer, supplier), payload, pid)
        assert answer.status_code == 400, answer.text
    headers = issuer_headers(issuer, supplier)
    assert deliver(supplier, headers, good, pid).status_code == 200
    assert deliver(supplier, headers, good, pid).status_code == 401  # the token is used up


def test_an_issuer_that_we_do_not_trust_delivers_nothing(
    supplier: Running, stranger: Wallet
) -> None:
    other = Issuer(stranger.did, stranger.key)
    pid = asked(supplier, other.did)
    headers = issuer_headers(other, supplier)
    answer = deliver(supplier, headers, other.issue(supplier.runtime.did), pid)
    assert answer.status_code == 403


def offer(holder: Running, issuer: Issuer, credentials: list[dict[str, Any]]) -> httpx.Response:
    body = {
        "@context": list(CONTEXT),
        "type": "CredentialOfferMessage",
        "issuer": issuer.did,
        "credentials": credentials,
    }
    headers = issuer_headers(issuer, holder)
    return holder.http.post(f"{holder.url}/dcp/offers", json=body, headers=headers)


def test_offers_by_reference_must_be_in_the_issuers_metadata(
    supplier: Running, issuer: Issuer
) -> None:
    assert offer(supplier, issuer, [{"id": "unknown"}]).status_code == 400
    assert offer(supplier, issuer, []).status_code == 400
    before = held_ids(supplier)
    assert offer(supplier, issuer, [{"id": "membership-vc11"}]).status_code == 200
    wait_until(lambda: due(supplier) == [], "the offered credential")
    assert held_ids(supplier) == before  # the same membership, signed anew


def held_ids(holder: Running) -> list[str]:
    with holder.runtime.database.unit_of_work() as uow:
        return [one.id for one in store.held(uow)]


def due(holder: Running) -> list[str]:
    runtime = holder.runtime
    with runtime.database.unit_of_work() as uow:
        return [one.id for one in store.held(uow) if one.is_due(runtime.clock())]


def test_the_broker_is_an_issuer(broker: str, stranger: Wallet, supplier: Running) -> None:
    document = httpx.get(f"{broker}/.well-known/did.json").json()
    [service] = document["service"]
    assert (service["type"], service["serviceEndpoint"]) == ("IssuerService", f"{broker}/issuer")
    metadata = httpx.get(f"{broker}/issuer/metadata").json()
    assert metadata["type"] == "IssuerMetadata"
    assert metadata["issuer"] == did_web(broker)
    ids = [one["id"] for one in metadata["credentialsSupported"]]
    body = {
        "@context": list(CONTEXT),
        "type": "CredentialRequestMessage",
        "holderPid": "mine",
        "credentials": [{"id": one} for one in ids],
    }
    url, audience = f"{broker}/issuer/credentials", did_web(broker)
    answer = httpx.post(url, json=body, headers=stranger.token(audience))
    assert answer.status_code == 201, answer.text
    location = answer.headers["location"]
    wait_until(lambda: len(stranger.got) == 1, "the delivery")
    delivered = CredentialMessage.from_wire(stranger.got[0])
    assert delivered.holder_pid == "mine"
    assert [one.format for one in delivered.credentials] == [p.value for p in Profile]

    def status() -> str:
        said = httpx.get(location, headers=stranger.token(audience)).json()
        return str(said["status"])

    wait_until(lambda: status() == "ISSUED", "the status")
    others = supplier.runtime.client.authorization(ParticipantId(audience))
    assert httpx.get(location, headers=others).status_code == 404
    body["credentials"] = [{"id": "unknown"}]
    refused = httpx.post(url, json=body, headers=stranger.token(audience))
    assert refused.status_code == 400
    assert httpx.post(url, json=body).status_code == 401
