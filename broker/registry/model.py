"""Who may join, and what a repeated or contradicting request means. Pure."""

from __future__ import annotations

from schemas.participant import JoinRequest, Participant, Role, Status
from schemas.problem import ConflictError, ForbiddenError, ProblemError
from schemas.wire import Text


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
    fields = ("handle", "name", "brn", "connector_url", "jwk", "role")
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
