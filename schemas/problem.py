"""Errors that users see: RFC 9457 problem details in Korean and English.

``ProblemError`` is the root of every error that the data bank raises on purpose. A subclass
per meaning stands next to its feature; ``docs/problems.md`` is generated from them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from schemas.wire import Text


class ProblemError(Exception):
    """Something the caller can understand and act on.

    Subclasses set ``slug`` (the last part of the type URN), ``title`` and ``status``.
    ``detail`` says what, where, and what to do next; ``members`` are extension members.
    """

    slug: ClassVar[str]
    title: ClassVar[Text]
    status: ClassVar[int]

    def __init__(self, *, ko: str, en: str, **members: Any) -> None:  # noqa: ANN401 - JSON values
        super().__init__(en)
        self.detail = Text(ko=ko, en=en)
        self.members = members

    @property
    def type(self) -> str:
        """The problem type as a URN."""
        return f"urn:idb:problem:{self.slug}"

    def to_json(self) -> dict[str, Any]:
        """Return the problem as RFC 9457 JSON; English stands in ``title_en``, ``detail_en``."""
        return {
            "type": self.type,
            "title": self.title.ko,
            "title_en": self.title.en,
            "status": self.status,
            "detail": self.detail.ko,
            "detail_en": self.detail.en,
            **self.members,
        }


class InvalidRequestError(ProblemError):
    """A payload that does not have the documented form."""

    slug = "invalid-request"
    title = Text(ko="요청 형식이 올바르지 않습니다", en="The request is malformed")
    status = 422


class NotAuthenticatedError(ProblemError):
    """No token, or one that does not verify."""

    slug = "not-authenticated"
    title = Text(ko="인증되지 않았습니다", en="Not authenticated")
    status = 401


class ForbiddenError(ProblemError):
    """The caller is known, but may not do this."""

    slug = "forbidden"
    title = Text(ko="권한이 없습니다", en="Forbidden")
    status = 403


class NotFoundError(ProblemError):
    """The thing does not exist, or not for this caller."""

    slug = "not-found"
    title = Text(ko="찾을 수 없습니다", en="Not found")
    status = 404


class ConflictError(ProblemError):
    """The request contradicts what is stored."""

    slug = "conflict"
    title = Text(ko="이미 있는 내용과 충돌합니다", en="Conflict with what is stored")
    status = 409


class RemoteUnavailableError(ProblemError):
    """Another party's service did not answer; trying again later may help."""

    slug = "remote-unavailable"
    title = Text(ko="상대 서비스가 응답하지 않습니다", en="The other service does not answer")
    status = 503


class InsufficientBalanceError(ProblemError):
    """The prepaid balance does not cover it; nothing was booked, delivered or metered."""

    slug = "insufficient-balance"
    title = Text(ko="잔액이 부족합니다", en="Insufficient balance")
    status = 402
