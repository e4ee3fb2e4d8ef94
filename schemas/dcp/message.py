"""DCP messages: presentation (5.4) and issuance (6.4 to 6.8).

They are plain JSON with ``type`` and a pinned ``@context``; no context is ever loaded.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, StrictStr, model_validator

from schemas.wire import PeerWire

CONTEXT_URL: Final = "https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"
CONTEXT: Final = (CONTEXT_URL,)
ID_CHARS_MAX: Final = 500
PAYLOAD_CHARS_MAX: Final = 65_536
ITEMS_MAX: Final = 20
TYPE_SCOPE: Final = "org.eclipse.dspace.dcp.vc.type:"
ID_SCOPE: Final = "org.eclipse.dspace.dcp.vc.id:"
_SCOPE: Final = re.compile(r"(.+):(read|write|\*)", re.DOTALL)


def _has_dcp_context(context: tuple[str, ...]) -> tuple[str, ...]:
    if CONTEXT_URL not in context:
        raise ValueError(f"@context must hold {CONTEXT_URL}")
    return context


Context = Annotated[tuple[StrictStr, ...], Field(max_length=10), AfterValidator(_has_dcp_context)]
Id = Annotated[StrictStr, Field(min_length=1, max_length=ID_CHARS_MAX)]
Payload = Annotated[StrictStr, Field(min_length=1, max_length=PAYLOAD_CHARS_MAX)]


class Profile(StrEnum):
    """How a credential is written and revoked (DCP 1.0.1, appendix)."""

    VC11 = "vc11-sl2021/jwt"
    VC20 = "vc20-bssl/jwt"


class RequestStatus(StrEnum):
    """Where a credential request stands."""

    RECEIVED = "RECEIVED"
    REJECTED = "REJECTED"
    ISSUED = "ISSUED"


class _Message(PeerWire):
    context: Context = Field(default=CONTEXT, alias="@context")

    @classmethod
    def from_wire(cls, raw: dict[str, Any]) -> Self:
        """Read a counterparty's message; only messages of our own making get defaults.

        Raises:
            ValidationError: It is not this message.
        """
        return cls.model_validate({"@context": None, "type": None, **raw})


class PresentationQueryMessage(_Message):
    """A verifier asks a credential service for presentations."""

    type: Literal["PresentationQueryMessage"] = "PresentationQueryMessage"
    scope: tuple[Id, ...] | None = Field(default=None, min_length=1, max_length=ITEMS_MAX)
    presentation_definition: dict[str, Any] | None = Field(
        default=None, alias="presentationDefinition", min_length=1
    )

    @model_validator(mode="after")
    def _asks_in_one_way(self) -> Self:
        if (self.scope is None) == (self.presentation_definition is None):
            raise ValueError("either scope or presentationDefinition")
        return self


class PresentationResponseMessage(_Message):
    """The presentations that a credential service gives."""

    type: Literal["PresentationResponseMessage"] = "PresentationResponseMessage"
    presentation: tuple[Any, ...] = Field(max_length=ITEMS_MAX)


class CredentialRef(PeerWire):
    """A credential that an issuer offers, by its id only."""

    id: Id


class CredentialContainer(PeerWire):
    """One issued credential."""

    credential_type: Id = Field(alias="credentialType")
    payload: Payload
    format: Id


class CredentialMessage(_Message):
    """An issuer delivers credentials, or says that it will not."""

    type: Literal["CredentialMessage"] = "CredentialMessage"
    issuer_pid: Id = Field(alias="issuerPid")
    holder_pid: Id = Field(alias="holderPid")
    status: Literal["ISSUED", "REJECTED"]
    credentials: tuple[CredentialContainer, ...] = Field(default=(), max_length=ITEMS_MAX)
    rejection_reason: StrictStr | None = Field(default=None, alias="rejectionReason")


class CredentialRequestMessage(_Message):
    """A holder asks an issuer for credentials."""

    type: Literal["CredentialRequestMessage"] = "CredentialRequestMessage"
    holder_pid: Id = Field(alias="holderPid")
    credentials: tuple[CredentialRef, ...] = Field(min_length=1, max_length=ITEMS_MAX)


class CredentialObject(PeerWire):
    """A credential that an issuer can issue."""

    id: Id
    type: Literal["CredentialObject"] = "CredentialObject"
    credential_type: Id = Field(alias="credentialType")
    offer_reason: StrictStr | None = Field(default=None, alias="offerReason")
    binding_methods: tuple[StrictStr, ...] = Field(default=(), alias="bindingMethods")
    profile: StrictStr | None = None
    credential_schema: StrictStr | None = Field(default=None, alias="credentialSchema")
    issuance_policy: dict[str, Any] | None = Field(default=None, alias="issuancePolicy")


class CredentialOfferMessage(_Message):
    """An issuer tells a holder what it may ask for; a reference has an id only."""

    type: Literal["CredentialOfferMessage"] = "CredentialOfferMessage"
    issuer: Id
    credentials: tuple[CredentialObject | CredentialRef, ...] = Field(
        min_length=1, max_length=ITEMS_MAX
    )


class IssuerMetadata(_Message):
    """What an issuer can issue."""

    type: Literal["IssuerMetadata"] = "IssuerMetadata"
    issuer: Id
    credentials_supported: tuple[CredentialObject, ...] = Field(
        alias="credentialsSupported", max_length=ITEMS_MAX
    )


class CredentialStatus(_Message):
    """Where a credential request stands, for its holder only."""

    type: Literal["CredentialStatus"] = "CredentialStatus"
    issuer_pid: Id = Field(alias="issuerPid")
    holder_pid: Id = Field(alias="holderPid")
    status: RequestStatus


def type_scope(credential_type: str) -> str:
    """Return the scope that asks for credentials of a type."""
    return f"{TYPE_SCOPE}{credential_type}:read"


def scope_covers(scope: str, *, types: tuple[str, ...], credential_id: str) -> bool:
    """Return whether a scope asks for a credential (DCP 1.0.1, 5.4.1.2); the right is optional."""
    if scope.startswith(TYPE_SCOPE):
        wanted, known = scope.removeprefix(TYPE_SCOPE), types
    elif scope.startswith(ID_SCOPE):
        wanted, known = scope.removeprefix(ID_SCOPE), (credential_id,)
    else:
        return False
    found = _SCOPE.fullmatch(wanted)
    return wanted in known or (found is not None and found[1] in known)
