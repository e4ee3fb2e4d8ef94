"""Being a witness of the log of our clearing service (C2SP tlog-witness).

What is cosigned is stored before the cosignature leaves. A log that shows two trees of one size
has signed the proof of it: both notes are kept, for whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from connector.runtime import Runtime
from connector.witness import store
from schemas.ids import did_web
from schemas.merkle import BadProofError
from schemas.note import (
    COSIGNATURE,
    BadNoteError,
    Checkpoint,
    NoteKey,
    cosign,
    open_checkpoint,
    split_note,
)
from schemas.problem import ForbiddenError, InvalidRequestError, NotFoundError, ProblemError
from schemas.seal import log_origin
from schemas.wire import Text
from schemas.witness import (
    BadSubmissionError,
    OtherSizeError,
    Submission,
    WitnessedLog,
    WitnessView,
    witness_name,
)

log: Final = structlog.get_logger()


class BadCheckpointError(ProblemError):
    """A request to cosign that is none, or is older than it says."""

    slug = "bad-checkpoint"
    title = Text(ko="체크포인트를 읽을 수 없습니다", en="Not a checkpoint to cosign")
    status = 400


def key_of(runtime: Runtime) -> NoteKey:
    """Return our key as a witness."""
    return NoteKey.of(witness_name(runtime.settings.url), runtime.identity.key.public, COSIGNATURE)


def add_checkpoint(runtime: Runtime, body: bytes) -> str:
    """Cosign a checkpoint that continues the one we cosigned last; return the signature line.

    Raises:
        BadCheckpointError: The body is no request to cosign.
        NotFoundError: It is not of the log that we witness.
        ForbiddenError: That log did not sign it.
        OtherSizeError: It does not start from what we cosigned last.
        InvalidRequestError: The proof does not show that it continues it.
    """
    with _refusals():
        submission = Submission.parse(body.decode())
        key = _log_key(runtime, Checkpoint.parse(split_note(submission.note)[0]).origin)
        open_checkpoint(submission.note, key)  # a stranger's word changes nothing here
        return _cosign(runtime, submission, key)


def _cosign(runtime: Runtime, submission: Submission, key: NoteKey) -> str:
    now, refused = runtime.clock(), None
    with runtime.database.unit_of_work() as uow:
        seen = store.seen_for_change(uow, key.name, now=now)
        try:
            head = submission.check(None if seen is None else _held(seen.note), key)
            store.put_seen(uow, key.name, submission.note, now=now)
        except OtherSizeError as error:
            refused = error
            if seen is not None and error.contradicts:
                store.put_contradiction(uow, key.name, seen.note, submission.note)
    if refused is not None:
        if refused.contradicts:
            log.error("log_contradicts_itself", origin=key.name, size=refused.size)
        raise refused
    name = witness_name(runtime.settings.url)
    return cosign(head, name, runtime.identity.key, at=int(now.timestamp()))


def _held(note: str) -> Checkpoint:
    """Read what we stored; its signature was checked then, under the log's key of that time."""
    return Checkpoint.parse(split_note(note)[0])


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (BadSubmissionError, UnicodeDecodeError) as error:
        raise BadCheckpointError(
            ko=f"C2SP tlog-witness의 add-checkpoint 형식이어야 합니다: {error}",
            en=f"The body must have the form of add-checkpoint of C2SP tlog-witness: {error}",
        ) from None
    except BadNoteError as error:
        raise ForbiddenError(
            ko=f"이 기록이 서명한 체크포인트가 아닙니다: {error}",
            en=f"Not a checkpoint that this log has signed: {error}",
        ) from None
    except BadProofError as error:
        raise InvalidRequestError(
            ko=f"지난번에 본 기록을 잇는다는 증명이 아닙니다: {error}",
            en=f"This does not prove that the log continues what was seen: {error}",
        ) from None


def _log_key(runtime: Runtime, origin: str) -> NoteKey:
    """Return the key of the one log that we witness: our clearing service's.

    Raises:
        NotFoundError: It is another, or the registry does not know clearing.
        RemoteUnavailableError: The registry does not answer.
    """
    clearing = runtime.settings.clearing_url
    participant = None
    if origin == log_origin(clearing):
        participant = runtime.directory.find(did_web(clearing))
    if participant is None:
        raise NotFoundError(
            ko=f"‘{origin}’의 기록은 증인을 서지 않습니다.",
            en=f"We are no witness of the log {origin}.",
        )
    return NoteKey.of(origin, participant.key)


def newest(runtime: Runtime) -> str:
    """Return the newest checkpoint that we cosigned, as the log signed it.

    Raises:
        NotFoundError: There is none yet.
    """
    with runtime.database.unit_of_work() as uow:
        seen = store.seen(uow, log_origin(runtime.settings.clearing_url))
    if seen is None:
        raise NotFoundError(
            ko="아직 본 체크포인트가 없습니다.", en="We have not cosigned a checkpoint yet."
        )
    return seen.note


def view(runtime: Runtime) -> WitnessView:
    """Return our key as a witness and what we have seen."""
    origin = log_origin(runtime.settings.clearing_url)
    with runtime.database.unit_of_work() as uow:
        seen = store.seen(uow, origin)
    if seen is None:
        return WitnessView(key=str(key_of(runtime)))
    return WitnessView(
        key=str(key_of(runtime)),
        log=WitnessedLog(
            origin=origin,
            log_key=str(_log_key(runtime, origin)),
            size=_held(seen.note).size,
            checkpoint=seen.note,
            cosigned_at=seen.cosigned_at,
            contradiction=seen.contradiction,
        ),
    )
