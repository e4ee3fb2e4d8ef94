"""Who may join, and what a repeated or contradicting request means. Pure."""

from __future__ import annotations

from typing import Final

from schemas.participant import JoinRequest, KeyChange, Participant, Role, Status
from schemas.problem import ConflictError, ForbiddenError, ProblemError
from schemas.signature import BadSignatureError, PublicKey, verify
from schemas.wire import Text

PROOF_TYPE: Final = "key-change+jws"


class JoinConflictError(ConflictError):
    """A join request contradicts the registry; ``field`` says where."""

    slug = "join-conflict"
    title = Text(ko="이미 등록된 내용과 다릅니다", en="Registered otherwise already")


class RevokedError(ForbiddenError):
    """The participant was revoked by the operator."""

    slug = "participant-revoked"
    title = Text(ko="참여가 취소되었습니다", en="The participant is revoked")


class OperatorSecretError(ForbiddenError):
    """Only the operator's own services may register with the role ``operator``."""

    slug = "operator-secret"
    title = Text(ko="운영기관만 할 수 있습니다", en="For the operator only")


class UnreachableUrlError(ProblemError):
    """The connector's URL is one that the operator's services must not call."""

    slug = "connector-url"
    title = Text(ko="사용할 수 없는 커넥터 주소입니다", en="The connector's URL is not usable")
    status = 422


def first_difference(stored: Participant, request: JoinRequest) -> str | None:
    """Return the first field in which a repeated request differs from the registry."""
    fields = ("handle", "name", "brn", "connector_url", "jwk", "key_fragment", "role")
    return next((f for f in fields if getattr(stored, f) != getattr(request, f)), None)


def check_repeat(stored: Participant, request: JoinRequest) -> None:
    """Let the same request through again.

    Raises:
        RevokedError: The operator revoked the participant.
        JoinConflictError: The request differs from what is registered.
    """
    if stored.status is Status.REVOKED:
        raise RevokedError(
            ko=f"{stored.id}의 참여가 취소되었습니다. 운영기관에 문의하세요.",
            en=f"{stored.id} was revoked. Contact the operator.",
        )
    if (field := first_difference(stored, request)) is not None:
        raise JoinConflictError(
            ko=f"{stored.id}은(는) 다른 {field} 값으로 등록되어 있습니다. 운영기관에 문의하세요.",
            en=f"{stored.id} is registered with another {field}. Contact the operator.",
            field=field,
        )


class KeyChangeError(ForbiddenError):
    """A key change that its participant has not proved to be its own."""

    slug = "key-change"
    title = Text(ko="키를 바꿀 수 없습니다", en="The key cannot be changed")


def check_change(stored: Participant, change: KeyChange, *, caller_kid: str) -> bool:
    """Return whether a key change is new; the same one again is not.

    Raises:
        KeyChangeError: Not signed by the present key, no proof of the new key's possession, or
            the key's name is not a later one.
    """
    kid = f"{stored.id}#{change.fragment}"
    try:
        payload = verify(change.proof, key=PublicKey(kid, change.jwk.to_json()), typ=PROOF_TYPE)
    except BadSignatureError as error:
        raise _no_change(str(error)) from None
    if payload != stored.id.encode():
        raise _no_change("the proof is another participant's")
    if (stored.key_fragment, stored.jwk) == (change.fragment, change.jwk):
        return False
    if caller_kid != stored.key.kid:
        raise _no_change("the call is not signed by the present key")
    if int(change.fragment.rpartition("-")[2]) <= int(stored.key_fragment.rpartition("-")[2]):
        raise _no_change(f"{change.fragment} is not later than {stored.key_fragment}")
    return True


def _no_change(reason: str) -> KeyChangeError:
    return KeyChangeError(
        ko=f"`databank rotate-key`로 다시 시도하세요. {reason}",
        en=f"Try again with `databank rotate-key`. {reason}",
    )


def handle_taken(handle: str) -> JoinConflictError:
    """Return the error for a handle that another participant has."""
    return JoinConflictError(
        ko=f"짧은 이름 '{handle}'은(는) 이미 쓰이고 있습니다. 다른 이름을 고르세요.",
        en=f"The handle '{handle}' is taken. Choose another one.",
        field="handle",
    )


def first_status(role: Role, *, needs_approval: bool) -> Status:
    """Return the status with which a new participant starts."""
    if role is Role.COMPANY and needs_approval:
        return Status.PENDING
    return Status.ACTIVE
