"""Contract negotiation messages (DSP 2025-1, section 8)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, StrictStr, model_validator

from schemas.dsp.message import Id, Message
from schemas.wire import PeerWire


class _Rules(PeerWire):
    """The parts of an offer or agreement that every party reads alike."""

    permission: tuple[dict[str, Any], ...] | None = Field(default=None, min_length=1)
    prohibition: tuple[dict[str, Any], ...] | None = Field(default=None, min_length=1)
    obligation: tuple[dict[str, Any], ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if self.permission is None and self.prohibition is None:
            raise ValueError("a policy has a permission or a prohibition")
        for rule in (*(self.permission or ()), *(self.prohibition or ())):
            if not isinstance(rule.get("action"), str):
                raise ValueError("a rule has an action")  # noqa: TRY004 - pydantic wants it
            if "target" in rule:
                raise ValueError("a rule carries no target")
        return self


class MessageOffer(_Rules):
    """An offer inside a message."""

    id: Id = Field(alias="@id")
    type: Literal["Offer"] = Field(alias="@type")
    target: Id | None = None


class MessageAgreement(_Rules):
    """An agreement inside a message."""

    id: Id = Field(alias="@id")
    type: Literal["Agreement"] = Field(alias="@type")
    target: Id
    assigner: Id
    assignee: Id
    timestamp: StrictStr


class ContractRequestMessage(Message):
    """Consumer: the initial request has ``callbackAddress``, a counter-offer ``providerPid``."""

    type: Literal["ContractRequestMessage"] = Field(default="ContractRequestMessage", alias="@type")
    consumer_pid: Id = Field(alias="consumerPid")
    provider_pid: Id | None = Field(default=None, alias="providerPid")
    callback_address: Id | None = Field(default=None, alias="callbackAddress")
    offer: MessageOffer

    @model_validator(mode="after")
    def _is_one_of(self) -> Self:
        if (self.provider_pid is None) == (self.callback_address is None):
            raise ValueError("either callbackAddress (initial) or providerPid (counter-offer)")
        return self


class ContractOfferMessage(Message):
    """Provider: the initial offer has ``callbackAddress``, a counter-offer ``consumerPid``."""

    type: Literal["ContractOfferMessage"] = Field(default="ContractOfferMessage", alias="@type")
    provider_pid: Id = Field(alias="providerPid")
    consumer_pid: Id | None = Field(default=None, alias="consumerPid")
    callback_address: Id | None = Field(default=None, alias="callbackAddress")
    offer: MessageOffer

    @model_validator(mode="after")
    def _is_one_of(self) -> Self:
        if (self.consumer_pid is None) == (self.callback_address is None):
            raise ValueError("either callbackAddress (initial) or consumerPid (counter-offer)")
        return self


class _PidMessage(Message):
    consumer_pid: Id = Field(alias="consumerPid")
    provider_pid: Id = Field(alias="providerPid")


class ContractAgreementMessage(_PidMessage):
    """Provider: the agreement."""

    type: Literal["ContractAgreementMessage"] = Field(
        default="ContractAgreementMessage", alias="@type"
    )
    agreement: MessageAgreement


class ContractAgreementVerificationMessage(_PidMessage):
    """Consumer: the agreement is what we asked for."""

    type: Literal["ContractAgreementVerificationMessage"] = Field(
        default="ContractAgreementVerificationMessage", alias="@type"
    )


class ContractNegotiationEventMessage(_PidMessage):
    """Consumer: ``ACCEPTED``. Provider: ``FINALIZED``."""

    type: Literal["ContractNegotiationEventMessage"] = Field(
        default="ContractNegotiationEventMessage", alias="@type"
    )
    event_type: Literal["ACCEPTED", "FINALIZED"] = Field(alias="eventType")


class ContractNegotiationTerminationMessage(_PidMessage):
    """Either side: it is over."""

    type: Literal["ContractNegotiationTerminationMessage"] = Field(
        default="ContractNegotiationTerminationMessage", alias="@type"
    )
    code: StrictStr | None = None
    reason: tuple[Any, ...] | None = Field(default=None, min_length=1)


class ContractNegotiation(_PidMessage):
    """The state of a negotiation, as an answer."""

    type: Literal["ContractNegotiation"] = Field(default="ContractNegotiation", alias="@type")
    state: Literal[
        "REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"
    ]
