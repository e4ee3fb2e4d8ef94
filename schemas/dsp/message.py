"""What all DSP messages share: context, type, ids and error bodies."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, StrictStr

from schemas.wire import PeerWire

CONTEXT_URL: Final = "https://w3id.org/dspace/2025/1/context.jsonld"
CONTEXT: Final = (CONTEXT_URL,)
MEDIA_TYPE: Final = "application/json"
ID_CHARS_MAX: Final = 500


def _has_dsp_context(context: tuple[str, ...]) -> tuple[str, ...]:
    if CONTEXT_URL not in context:
        raise ValueError(f"@context must hold {CONTEXT_URL}")
    return context


Context = Annotated[tuple[StrictStr, ...], Field(max_length=10), AfterValidator(_has_dsp_context)]
Id = Annotated[StrictStr, Field(min_length=1, max_length=ID_CHARS_MAX)]


def read_id(value: object) -> str | None:
    """Return an id out of an answer that need not follow the protocol, or None."""
    is_id = isinstance(value, str) and 0 < len(value) <= ID_CHARS_MAX
    return str(value) if is_id else None


class Message(PeerWire):
    """A DSP message: a context that holds ours, and a type that subclasses fix."""

    context: Context = Field(default=CONTEXT, alias="@context")

    @classmethod
    def from_wire(cls, raw: dict[str, Any]) -> Self:
        """Read a counterparty's message; only messages of our own making get defaults.

        Raises:
            ValidationError: It is not this message.
        """
        named = {"@context": None, "@type": None, **raw}
        return cls.model_validate(named)


class ErrorMessage(Message):
    """``CatalogError``, ``ContractNegotiationError`` or ``TransferError``."""

    type: StrictStr = Field(alias="@type")
    consumer_pid: Id | None = Field(default=None, alias="consumerPid")
    provider_pid: Id | None = Field(default=None, alias="providerPid")
    code: StrictStr | None = None
    reason: tuple[Any, ...] | None = None
