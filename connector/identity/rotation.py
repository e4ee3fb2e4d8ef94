"""Replacing our key without a moment in which we are refused.

The next key is written and published beside the present one, the broker takes it when the call
is signed by the present one, then it signs. The old key stays published until what it signed
has expired. Each step may be repeated after a crash or a lost answer.
"""

from __future__ import annotations

from typing import Final

import structlog

from connector.runtime import Runtime
from databank.kit.http import RemoteRefusedError
from databank.kit.keys import KeyFiles
from schemas.ids import did_web
from schemas.participant import Jwk, KeyChange, Participant
from schemas.problem import NotFoundError
from schemas.signature import PublicKey, SigningKey, sign
from schemas.token import LIFE_MAX, SKEW

PROOF_TYPE: Final = "key-change+jws"
log = structlog.get_logger()


def own_keys(runtime: Runtime) -> list[PublicKey]:
    """Return the keys that others may find ours under: present, next, and just retired."""
    files = _files(runtime)
    keys = [runtime.identity.key.public]
    following, retired = files.next_key(), files.retired()
    if following is not None and following.kid != keys[0].kid:
        keys.append(following.public)
    if retired is not None and retired.until > runtime.clock():
        keys.append(retired.key)
    return keys


def rotate(runtime: Runtime) -> Participant:
    """Replace our key, or finish a replacement that was begun.

    Raises:
        NotFoundError: We have not joined.
        RemoteRefusedError: The broker does not take the key.
        RemoteUnavailableError: The broker does not answer; nothing has changed.
    """
    with runtime.rotating:
        if runtime.directory.find(runtime.did) is None:
            raise NotFoundError(
                ko="아직 가입하지 않았습니다. `databank join`으로 가입하세요.",
                en="Not registered yet. Join with `databank join`.",
            )
        files = _files(runtime)
        following = files.make_next()
        registered = _register(runtime, following)
        old = runtime.identity.key
        runtime.identity.key = files.promote(runtime.clock() + LIFE_MAX + SKEW)
        runtime.directory.forget(runtime.did)
        runtime.standing.give()
        log.info("key_rotated", kid=following.kid, retired_kid=old.kid)
        return registered


def finish_rotation(runtime: Runtime) -> None:
    """Finish a rotation that a crash or a lost answer left half done."""
    if _files(runtime).next_key() is not None:
        rotate(runtime)


def _register(runtime: Runtime, following: SigningKey) -> Participant:
    broker = runtime.settings.broker_url.rstrip("/")
    change = KeyChange(
        fragment=following.kid.rpartition("#")[2],
        jwk=Jwk.model_validate(following.public.jwk),
        proof=sign(runtime.did.encode(), key=following, typ=PROOF_TYPE),
    ).to_json()
    old = runtime.identity.key
    url, audience = f"{broker}/participants/key", did_web(broker)
    try:
        answer = runtime.client.call_json("POST", url, audience=audience, json=change)
    except RemoteRefusedError as error:
        if error.remote_status != 401:  # noqa: PLR2004 - not authenticated
            raise
        runtime.identity.key = following  # the broker may know it since an answer was lost
        try:
            answer = runtime.client.call_json("POST", url, audience=audience, json=change)
        except Exception:
            runtime.identity.key = old
            raise
    return Participant.model_validate(answer)


def _files(runtime: Runtime) -> KeyFiles:
    return KeyFiles(runtime.settings.data_dir, runtime.did)
