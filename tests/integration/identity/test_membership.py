"""Connectors accept each other by credentials, and nobody without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from connector.identity import store
from schemas.dcp.credential import read_credential
from schemas.dcp.message import PresentationResponseMessage, Profile
from schemas.ids import ParticipantId, did_web
from schemas.problem import NotAuthenticatedError
from schemas.signature import generate_key
from tests.integration.identity.conftest import join, member
from tests.support.connectors import Running, connector
from tests.support.contracts import contract, message
from tests.support.registry import ADMIN, running_broker, wait_until
from tests.support.wallet import Issuer, Wallet, wallet

NOBODY: Final = ParticipantId("did:web:nobody.example")
HOUR: Final = timedelta(hours=1)


def catalog(supplier: Running, headers: dict[str, str]) -> httpx.Response:
    url = f"{supplier.url}/dsp/2025-1/catalog/request"
    return supplier.http.post(url, json=message("CatalogRequestMessage"), headers=headers)


def ask(supplier: Running, stranger: Wallet) -> httpx.Response:
    return catalog(supplier, stranger.token(supplier.runtime.did))


def membership(running: Running) -> str | None:
    runtime = running.runtime
    with runtime.database.unit_of_work() as uow:
        issuer = did_web(runtime.settings.broker_url)
        held = store.membership(uow, issuer, runtime.clock())
    return None if held is None else held.payload


def change(broker: str, participant: str, what: str) -> None:
    body = {"participant_id": participant, "reason": "시험"}
    answer = httpx.post(f"{broker}/participants/{what}", json=body, headers=ADMIN)
    assert answer.status_code == 200, answer.text


def test_two_connectors_agree_by_their_credentials(supplier: Running, buyer: Running) -> None:
    assert membership(supplier) is not None
    assert membership(buyer) is not None
    assert contract(buyer, supplier).transfer["state"] == "STARTED"


def test_the_did_document_names_key_and_credential_service(supplier: Running) -> None:
    document = supplier.http.get(f"{supplier.url}/.well-known/did.json").json()
    kid = f"{supplier.runtime.did}#key-1"
    assert document["capabilityInvocation"] == [kid]
    assert document["authentication"] == [kid]
    [service] = document["service"]
    assert service["type"] == "CredentialService"
    assert service["serviceEndpoint"] == f"{supplier.url}/dcp"


def test_a_stranger_with_a_credential_is_answered_and_asked_once(
    supplier: Running, stranger: Wallet
) -> None:
    assert ask(supplier, stranger).status_code == 200
    assert ask(supplier, stranger).status_code == 200
    assert stranger.queries == 1
    assert stranger.access_tokens == ["opaque"]


def test_credentials_of_both_profiles_count_and_are_revoked(
    supplier: Running, stranger: Wallet, issuer: Issuer, buyer: Running, broker: str
) -> None:
    revoked = bits(buyer)
    change(broker, buyer.runtime.did, "revocation")
    for profile in Profile:
        stranger.profile = profile
        stranger.credentials = [issuer.issue(stranger.did, profile=profile)]
        supplier.runtime.verifier.forget(stranger.did)
        assert ask(supplier, stranger).status_code == 200, profile
        stranger.credentials = [issuer.issue(stranger.did, profile=profile, index=revoked)]
        supplier.runtime.verifier.forget(stranger.did)
        refused = ask(supplier, stranger)
        assert refused.status_code == 401, profile
        assert "under revocation" in refused.json()["reason"][0]


def bits(holder: Running) -> int:
    payload = membership(holder)
    assert payload is not None
    [status] = read_credential(payload)[1].statuses
    return status.index


@dataclass(frozen=True)
class Bad:
    """Something that a wallet must not get away with."""

    name: str
    prepare: Callable[[Wallet, Issuer], None]
    says: str


def _credential(**changes: Any) -> Callable[[Wallet, Issuer], None]:
    def prepare(shown: Wallet, issuer: Issuer) -> None:
        shown.credentials = [issuer.issue(shown.did, **changes)]

    return prepare


def _of_another(shown: Wallet, issuer: Issuer) -> None:
    shown.credentials = [issuer.issue(NOBODY)]


def _self_issued(shown: Wallet, _: Issuer) -> None:
    shown.credentials = [Issuer(shown.did, shown.key).issue(shown.did)]


def _forged(shown: Wallet, issuer: Issuer) -> None:
    shown.credentials = [Issuer(issuer.did, generate_key(issuer.did)).issue(shown.did)]


def _one_good_one_expired(shown: Wallet, issuer: Issuer) -> None:
    late = issuer.issue(shown.did, valid_until=datetime.now(UTC) - HOUR)  # noqa: TID251
    shown.credentials = [issuer.issue(shown.did), late]


def _empty(shown: Wallet, _: Issuer) -> None:
    shown.answer = PresentationResponseMessage(presentation=()).to_json()


def _nothing_held(shown: Wallet, _: Issuer) -> None:
    shown.credentials = []


def _for_another_verifier(shown: Wallet, _: Issuer) -> None:
    shown.shown_to = NOBODY


def _nonsense(shown: Wallet, _: Issuer) -> None:
    shown.answer = {"type": "Nonsense"}


def _refusing(shown: Wallet, _: Issuer) -> None:
    shown.status = 401


NOW: Final = datetime.now(UTC)  # noqa: TID251 - relative to when the tests run
BAD: Final = (
    Bad("expired", _credential(valid_until=NOW - HOUR), "expired"),
    Bad("not yet valid", _credential(valid_from=NOW + 2 * HOUR), "valid from"),
    Bad("schema", _credential(subject={"id": "did:web:x"}), "credential of did:web:x"),
    Bad("unknown schema", _credential(schemas=("urn:unknown",)), "unknown schema"),
    Bad("another type", _credential(types=("VerifiableCredential",)), "no membership"),
    Bad("list too short", _credential(index=10**9), "outside"),
    Bad("of another holder", _of_another, "shown by"),
    Bad("untrusted issuer", _self_issued, "no membership"),
    Bad("forged", _forged, "does not verify"),
    Bad("one expired beside a good one", _one_good_one_expired, "expired"),
    Bad("no presentation", _empty, "no membership"),
    Bad("no credential", _nothing_held, "no membership"),
    Bad("for another verifier", _for_another_verifier, "another verifier"),
    Bad("nonsense", _nonsense, "PresentationResponseMessage"),
    Bad("refusing", _refusing, "HTTP 401"),
)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_what_does_not_verify_is_refused(
    supplier: Running, stranger: Wallet, issuer: Issuer, bad: Bad
) -> None:
    bad.prepare(stranger, issuer)
    answer = ask(supplier, stranger)
    assert answer.status_code == 401, answer.text
    body = answer.json()
    assert body["@type"] == "CatalogError"
    assert bad.says in body["reason"][0]
    hidden = supplier.http.get(
        f"{supplier.url}/dsp/2025-1/negotiations/urn:none",
        headers=stranger.token(supplier.runtime.did),
    )
    assert hidden.status_code == 404
    assert hidden.json()["@type"] == "ContractNegotiationError"


def test_a_schema_violation_is_refused(supplier: Running, stranger: Wallet, issuer: Issuer) -> None:
    stranger.credentials = [issuer.issue(stranger.did, subject={"id": stranger.did})]
    answer = ask(supplier, stranger)
    assert answer.status_code == 401
    assert "violates its schema" in answer.json()["reason"][0]


def test_an_id_token_without_access_token_is_refused(supplier: Running, stranger: Wallet) -> None:
    headers = stranger.token(supplier.runtime.did, access_token=None)
    answer = catalog(supplier, headers)
    assert answer.status_code == 401
    assert stranger.queries == 0


def test_a_token_counts_once_and_a_replay_costs_no_query(
    supplier: Running, stranger: Wallet
) -> None:
    headers = stranger.token(supplier.runtime.did)
    assert catalog(supplier, headers).status_code == 200
    supplier.runtime.verifier.forget(stranger.did)
    answer = catalog(supplier, headers)
    assert answer.status_code == 401
    assert "used before" in answer.json()["reason"][0]
    assert stranger.queries == 1


def test_the_bearer_prefix_is_needed(supplier: Running, stranger: Wallet) -> None:
    token = stranger.token(supplier.runtime.did)["Authorization"].removeprefix("Bearer ")
    assert catalog(supplier, {"Authorization": token}).status_code == 401


def test_a_credential_service_that_is_down_means_refused(
    supplier: Running, broker: str, issuer: Issuer
) -> None:
    with wallet() as gone:
        gone.join(broker, "gone")
        gone.credentials = [issuer.issue(gone.did)]
    answer = ask(supplier, gone)
    assert answer.status_code == 503
    assert answer.json()["retryable"] is True


def test_a_credential_service_with_an_error_means_refused(
    supplier: Running, stranger: Wallet
) -> None:
    stranger.status = 500
    assert ask(supplier, stranger).status_code == 503
    stranger.status = 200
    assert ask(supplier, stranger).status_code == 200


def test_a_service_outside_the_registered_address_is_not_called(
    supplier: Running, broker: str, stranger: Wallet
) -> None:
    with wallet() as sly:
        sly.join(broker, "sly")
        sly.service_url = f"{stranger.url}/wallet"
        answer = ask(supplier, sly)
    assert answer.status_code == 401
    assert "outside its registered address" in answer.json()["reason"][0]
    assert stranger.queries == 0


def test_a_revocation_notice_drops_what_was_believed(
    supplier: Running, stranger: Wallet, broker: str
) -> None:
    assert ask(supplier, stranger).status_code == 200
    change(broker, stranger.did, "revocation")
    assert ask(supplier, stranger).status_code == 401
    change(broker, stranger.did, "approval")
    assert ask(supplier, stranger).status_code == 200
    assert stranger.queries == 2


def test_a_revoked_connector_is_refused_and_gets_a_new_credential_when_taken_back(
    supplier: Running, buyer: Running, broker: str
) -> None:
    old = membership(buyer)
    change(broker, buyer.runtime.did, "revocation")
    headers = buyer.runtime.client.authorization(supplier.runtime.did)
    assert catalog(supplier, headers).status_code == 401
    change(broker, buyer.runtime.did, "approval")
    wait_until(lambda: membership(buyer) not in {None, old}, "a new credential")
    assert contract(buyer, supplier).negotiation["state"] == "FINALIZED"


def test_who_waits_for_approval_gets_its_credential_once_approved(tmp_path: Path) -> None:
    with (
        running_broker(tmp_path / "broker", admission="approval") as broker,
        connector(tmp_path / "c", None, "waiting", broker_url=broker) as waiting,
    ):
        assert join(waiting, "waiting").json()["status"] == "pending"
        assert membership(waiting) is None
        change(broker, waiting.runtime.did, "approval")
        wait_until(lambda: membership(waiting) is not None, "the credential")


def test_a_credential_is_kept_over_a_restart(tmp_path: Path, broker: str) -> None:
    with member(tmp_path / "again", broker, "again") as first:
        held, port = membership(first), first.runtime.settings.port
    with connector(tmp_path / "again", None, "again", port=port, broker_url=broker) as second:
        assert membership(second) == held


def test_a_broker_key_is_a_trusted_issuer_only_if_the_settings_say_so(
    tmp_path: Path, broker: str, stranger: Wallet
) -> None:
    trusted = ("did:web:other.example",)
    with member_of(tmp_path / "picky", broker, trusted) as picky:
        answer = ask(picky, stranger)
    assert answer.status_code == 401
    assert "no membership credential of a trusted issuer" in answer.json()["reason"][0]


def member_of(folder: Path, broker: str, trusted: tuple[str, ...]) -> Any:
    return connector(
        folder, None, "picky", broker_url=broker, trusted_issuers=trusted, identity="dcp"
    )


@pytest.fixture
def unregistered() -> Iterator[Wallet]:
    with wallet() as running:
        yield running


def test_a_stranger_that_the_registry_does_not_know_is_refused_before_anything_is_fetched(
    supplier: Running, unregistered: Wallet, issuer: Issuer
) -> None:
    unregistered.credentials = [issuer.issue(unregistered.did)]
    answer = ask(supplier, unregistered)
    assert answer.status_code == 401
    assert "not registered" in answer.json()["reason"][0]
    assert (unregistered.queries, unregistered.document_reads) == (0, 0)


def test_a_stranger_that_the_registry_does_not_know_can_be_verified(
    supplier: Running, unregistered: Wallet, issuer: Issuer
) -> None:
    unregistered.credentials = [issuer.issue(unregistered.did)]
    verifier = supplier.runtime.verifier
    headers = unregistered.token(supplier.runtime.did)
    claims = verifier.check_token(headers["Authorization"].removeprefix("Bearer "))
    verifier.require_membership(claims)
    assert (unregistered.queries, unregistered.document_reads) == (1, 1)
    unregistered.credentials = []
    verifier.forget(unregistered.did)
    with pytest.raises(NotAuthenticatedError):
        verifier.require_membership(claims)
