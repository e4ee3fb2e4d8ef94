"""Callers of DCP services: whoever shows a self-issued ID token, typed as DCP has it.

Credential and issuer services are called by wallets and verifiers of others, too. What kind of
caller may do what is for the route to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError

from databank.kit.clock import Clock
from databank.kit.resolver import Resolver, UnreachableError, unavailable
from schemas.dcp.error import DcpError
from schemas.dcp.token import check_id_token, read_id_token
from schemas.ids import ParticipantId
from schemas.problem import NotAuthenticatedError, ProblemError
from schemas.token import Claims
from schemas.wire import Text

SAID_CHARS_MAX: Final = 300
log = structlog.get_logger()


class MalformedDcpMessageError(ProblemError):
    """A DCP message that does not have the protocol's form."""

    slug = "dcp-message"
    title = Text(ko="DCP 메시지 형식이 아닙니다", en="Not a DCP message")
    status = 400


def malformed(error: Exception) -> MalformedDcpMessageError:
    """Return the error for a body that is not the message that is expected."""
    said = str(error)
    if isinstance(error, ValidationError):
        first: Any = error.errors(include_input=False, include_url=False)[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    said = said[:SAID_CHARS_MAX]
    return MalformedDcpMessageError(
        ko=f"메시지를 고쳐서 다시 보내세요. {said}", en=f"Correct the message. {said}"
    )


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """Verifies ID tokens that are meant for ``audience``."""

    audience: ParticipantId
    resolver: Resolver
    clock: Clock

    def __call__(self, token: str) -> Claims:
        """Return the claims of a token; its ``jti`` is not consumed yet.

        Raises:
            NotAuthenticatedError: The token does not identify its sender.
            RemoteUnavailableError: The sender's document cannot be had now.
        """
        try:
            issuer, jwt = read_id_token(token)
            document = self.resolver.keys(issuer, jwt.kid)
            return check_id_token(jwt, document, audience=self.audience, now=self.clock())
        except UnreachableError as error:
            raise unavailable(error) from None
        except DcpError as error:
            raise refused(str(error)) from None


def refused(reason: str) -> NotAuthenticatedError:
    """Return the error for a caller whose identity does not verify."""
    log.warning("identity_refused", reason=reason)
    return NotAuthenticatedError(
        ko=f"신원을 확인할 수 없습니다: {reason}", en=f"The identity is refused: {reason}"
    )
