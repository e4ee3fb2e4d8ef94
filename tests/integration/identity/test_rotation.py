"""Replacing a key: nobody is refused meanwhile, and the old key ends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.identity.rotation import rotate
from databank.cli.program import run
from databank.kit.clock import new_secret, system_clock
from databank.kit.keys import NEXT_KEY_FILE, KeyFiles
from schemas.ids import ParticipantId, did_web
from schemas.participant import Jwk, KeyChange, ParticipantList
from schemas.signature import SigningKey, generate_key, sign
from schemas.token import issue
from tests.integration.identity.conftest import join, member
from tests.integration.identity.test_membership import ask, catalog
from tests.support.connectors import Running, connector, publish
from tests.support.contracts import negotiate
from tests.support.registry import wait_until
from tests.support.wallet import Wallet


def registered(broker: str, participant: str) -> Any:
    answer = httpx.get(f"{broker}/participants", params={"id": participant}).json()
    return ParticipantList.model_validate(answer).participants[0]


def test_a_contract_before_and_after_a_rotation(
    supplier: Running, buyer: Running, broker: str
) -> None:
    energy = publish(supplier.runtime, "energy")

    def agree() -> None:
        assert negotiate(buyer, supplier, energy)["state"] == "FINALIZED"

    agree()
    early = buyer.runtime.client.authorization(supplier.runtime.did)
    answer = buyer.manage("POST", "/key-rotation")
    assert answer.status_code == 200, answer.text
    own = buyer.runtime.did
    assert buyer.runtime.identity.key.kid == f"{own}#key-2"
    known = registered(broker, own)
    assert known.key_fragment == "key-2"
    assert known.retiring.fragment == "key-1"
    document = buyer.http.get(f"{buyer.url}/.well-known/did.json").json()
    assert document["capabilityInvocation"] == [f"{own}#key-2", f"{own}#key-1"]
    assert catalog(supplier, early).status_code == 200  # signed by the old key just before
    agree()
    assert buyer.manage("POST", "/key-rotation").json()["key_fragment"] == "key-3"
    agree()
    assert join(buyer, "buyer").status_code == 201  # the same registration again


def test_the_old_key_ends(supplier: Running, buyer: Running, broker: str) -> None:
    old = buyer.runtime.identity.key
    assert buyer.manage("POST", "/key-rotation").status_code == 200
    known = registered(broker, buyer.runtime.did)
    after = known.retiring.until + timedelta(seconds=1)
    assert [key.kid for key in known.keys(known.retiring.until - timedelta(seconds=1))] == [
        known.key.kid,
        old.kid,
    ]
    assert [key.kid for key in known.keys(after)] == [known.key.kid]
    retired = KeyFiles(buyer.runtime.settings.data_dir, buyer.runtime.did).retired()
    assert retired is not None
    assert retired.key.kid == old.kid
    assert retired.until > system_clock()
    assert supplier.runtime.directory.find(buyer.runtime.did) is not None


def test_a_rotation_whose_answer_was_lost_is_finished_at_the_next_start(
    tmp_path: Path, broker: str, supplier: Running
) -> None:
    with member(tmp_path / "c", broker, "lost") as first:
        runtime, port = first.runtime, first.runtime.settings.port
        files = KeyFiles(runtime.settings.data_dir, runtime.did)
        following = files.make_next()
        answer = change(broker, runtime.did, runtime.identity.key, following)
        assert answer.status_code == 200, answer.text
    assert (tmp_path / "c" / NEXT_KEY_FILE).exists()
    with connector(tmp_path / "c", None, "lost", port=port, broker_url=broker) as again:
        wait_until(
            lambda: again.runtime.identity.key.kid == following.kid, "the end of the rotation"
        )
        assert not (tmp_path / "c" / NEXT_KEY_FILE).exists()
        headers = again.runtime.client.authorization(supplier.runtime.did)
        assert catalog(supplier, headers).status_code == 200


def change(
    broker: str,
    did: ParticipantId,
    signer: SigningKey,
    new: SigningKey,
    *,
    proof: str | None = None,
) -> httpx.Response:
    body = KeyChange(
        fragment=new.kid.rpartition("#")[2],
        jwk=Jwk.model_validate(new.public.jwk),
        proof=proof or sign(did.encode(), key=new, typ="key-change+jws"),
    ).to_json()
    token = issue(
        key=signer, issuer=did, audience=did_web(broker), now=system_clock(), jti=new_secret()
    )
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{broker}/participants/key", json=body, headers=headers)


def test_a_key_is_replaced_only_by_who_holds_both(broker: str, stranger: Wallet) -> None:
    did, old = stranger.did, stranger.key
    new = generate_key(did, "key-2")
    assert change(broker, did, new, new).status_code == 401  # not registered yet
    thief = generate_key(did)
    assert change(broker, did, thief, new).status_code == 401
    unproved = sign(did.encode(), key=generate_key(did, "key-2"), typ="key-change+jws")
    assert change(broker, did, old, new, proof=unproved).status_code == 403
    of_another = sign(b"did:web:other", key=new, typ="key-change+jws")
    assert change(broker, did, old, new, proof=of_another).status_code == 403
    same_name = generate_key(did, "key-1")
    assert change(broker, did, old, same_name).status_code == 403
    assert change(broker, did, old, new).status_code == 200
    assert change(broker, did, old, new).status_code == 200  # a repeated call changes nothing
    third = generate_key(did, "key-3")
    assert change(broker, did, old, third).status_code == 403  # the old key changes nothing more
    assert registered(broker, did).key_fragment == "key-2"


def test_a_stranger_with_a_new_key_is_known_at_once(
    supplier: Running, stranger: Wallet, broker: str
) -> None:
    assert ask(supplier, stranger).status_code == 200
    new = generate_key(stranger.did, "key-2")
    assert change(broker, stranger.did, stranger.key, new).status_code == 200
    stranger.key = new
    assert ask(supplier, stranger).status_code == 200


def test_who_has_not_joined_has_nothing_to_rotate(tmp_path: Path, broker: str) -> None:
    with connector(tmp_path / "c", None, "nobody", broker_url=broker) as nobody:
        assert nobody.manage("POST", "/key-rotation").status_code == 404
        with pytest.raises(Exception, match="Not registered"):
            rotate(nobody.runtime)


def test_the_command_says_the_new_key_in_both_languages(
    buyer: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    token = buyer.app.state.context.admin_token
    environment = {"DATABANK_URL": buyer.url, "DATABANK_TOKEN": token}
    for language, words, kid in (("ko", "새 키", "key-2"), ("en", "New key", "key-3")):
        assert run(["--lang", language, "rotate-key"], environment=environment) == 0
        said = capsys.readouterr().out
        assert words in said
        assert f"{buyer.runtime.did}#{kid}" in said
        assert buyer.runtime.identity.key.public.fingerprint in said
