"""The edge of the Dataspace Protocol: who calls, what was sent, and errors as DSP writes them.

Order of checks: authenticate, then read the message, then look at the process. Whoever is
not allowed to see a negotiation or transfer process gets the same 404 as for one that does
not exist (DSP 2025-1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from connector.dsp.redelivery import Received, received_from
from connector.identity.caller import verify_caller
from connector.side import IllegalTransitionError, Side
from databank.kit.app import Caller, consume_token, get_context
from schemas.dsp.message import CONTEXT, Message
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.problem import NotAuthenticatedError

ERRORS_SAID_MAX: Final = 10
MessageT = TypeVar("MessageT", bound=Message)


class ErrorType(StrEnum):
    """The protocol's error bodies."""

    CATALOG = "CatalogError"
    NEGOTIATION = "ContractNegotiationError"
    TRANSFER = "TransferError"


class DspError(Exception):
    """An error that the counterparty sees in the protocol's own form."""

    def __init__(
        self,
        error_type: ErrorType,
        status: int,
        *,
        code: str,
        reason: str,
        pids: dict[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.body: dict[str, Any] = {
            "@context": list(CONTEXT),
            "@type": error_type.value,
            **(pids or {}),
            "code": code,
            "reason": [reason],
        }


async def on_dsp_error(_: Request, error: Exception) -> JSONResponse:
    """Write a ``DspError`` as an answer."""
    assert isinstance(error, DspError)
    return JSONResponse(error.body, error.status)


@dataclass(frozen=True, slots=True)
class Process:
    """What of a process an error names, and who is asking for it."""

    error_type: ErrorType
    side: Side
    pid: str

    def pids(self, sent: dict[str, Any] | None = None) -> dict[str, str]:
        """Return both pids as far as they are known; the schema wants both."""
        own, other = f"{self.side.value}Pid", f"{self.side.other.value}Pid"
        said = (sent or {}).get(other)
        return {own: self.pid, other: said if isinstance(said, str) and said else "unknown"}

    def not_found(self) -> DspError:
        """Return the error for a process that is absent or someone else's."""
        return DspError(
            self.error_type, 404, code="404", reason="no such process", pids=self.pids()
        )

    def illegal(self, error: IllegalTransitionError, sent: dict[str, Any]) -> DspError:
        """Return the error for a message that the state does not allow."""
        return self.refused("illegal-transition", str(error), sent)

    def refused(self, code: str, reason: str, sent: dict[str, Any]) -> DspError:
        """Return the error for a message that this process cannot take."""
        return DspError(self.error_type, 400, code=code, reason=reason, pids=self.pids(sent))


async def read_body(request: Request) -> bytes:
    """Return the body; the application bounds its size."""
    return await request.body()


def _error_type(path: str) -> ErrorType:
    if "/negotiations/" in path:
        return ErrorType.NEGOTIATION
    return ErrorType.TRANSFER if "/transfers/" in path else ErrorType.CATALOG


def get_dsp_caller(request: Request) -> Iterator[Caller]:
    """Authenticate a participant the way the protocol wants, and open the transaction."""
    path: str = request.scope["path"]
    error_type = _error_type(path)
    if "\0" in path or b"%00" in request.scope["query_string"]:  # no database holds such a pid
        raise _hidden(error_type, "no such thing")
    try:
        participant, claims = verify_caller(request)
        with get_context(request).database.unit_of_work() as uow:
            consume_token(uow, claims)
            yield Caller(participant, uow, claims.access_token)
    except NotAuthenticatedError as error:
        if error_type is ErrorType.CATALOG:
            reason = error.detail.en
            raise DspError(error_type, 401, code="not-authenticated", reason=reason) from None
        # Negotiations and transfers hide from strangers that they exist.
        raise _hidden(error_type, error.detail.en) from None


def _hidden(error_type: ErrorType, reason: str) -> DspError:
    is_catalog = error_type is ErrorType.CATALOG
    pids = {} if is_catalog else {"consumerPid": "unknown", "providerPid": "unknown"}
    return DspError(error_type, 404, code="404", reason=reason, pids=pids)


BodyDep = Annotated[bytes, Depends(read_body)]
DspCallerDep = Annotated[Caller, Depends(get_dsp_caller, scope="function")]


def receive(
    body: bytes, model: type[MessageT], error_type: ErrorType, process: Process | None = None
) -> tuple[MessageT, Received]:
    """Read a message.

    Raises:
        DspError: 400, it is not the message that this endpoint takes.
    """
    raw: dict[str, Any] = {}
    try:
        raw = parse_message(body)
        message = model.from_wire(raw)
    except (MalformedMessageError, ValidationError) as error:
        pids = process.pids(raw) if process else _sent_pids(raw, error_type)
        raise DspError(error_type, 400, code="malformed", reason=_said(error), pids=pids) from None
    return message, received_from(raw, body)


def _sent_pids(raw: dict[str, Any], error_type: ErrorType) -> dict[str, str]:
    if error_type is ErrorType.CATALOG:
        return {}
    names = ("consumerPid", "providerPid")
    return {n: raw[n] if isinstance(raw.get(n), str) and raw[n] else "unknown" for n in names}


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        found = error.errors(include_input=False, include_url=False)[:ERRORS_SAID_MAX]
        return "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in found)
    return str(error)
