"""DID documents: the keys and services of a participant (DID Core 1.0, did:web)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import Field, StrictStr, ValidationError

from schemas.dcp.error import DcpError
from schemas.signature import PublicKey
from schemas.wire import PeerWire

DID_CONTEXT: Final = "https://www.w3.org/ns/did/v1"
DOCUMENT_BYTES_MAX: Final = 65_536
METHODS_MAX: Final = 50
SERVICES_MAX: Final = 50
KEY_TYPE: Final = "JsonWebKey2020"


class Relationship(StrEnum):
    """What a key may be used for."""

    AUTHENTICATION = "authentication"  # presentations
    ASSERTION = "assertionMethod"  # credentials
    INVOCATION = "capabilityInvocation"  # self-issued ID tokens


class ServiceType(StrEnum):
    """Services that DCP finds in a DID document."""

    CREDENTIAL = "CredentialService"
    ISSUER = "IssuerService"


class DidError(DcpError):
    """Not a DID document, or one without the key or service that is looked for."""


class VerificationMethod(PeerWire):
    """One key of a DID document."""

    id: StrictStr
    type: StrictStr = KEY_TYPE
    controller: StrictStr | None = None
    public_key_jwk: dict[str, Any] | None = Field(default=None, alias="publicKeyJwk")


class ServiceEntry(PeerWire):
    """One service of a DID document."""

    id: StrictStr
    type: StrictStr
    endpoint: StrictStr = Field(alias="serviceEndpoint")


class DidDocument(PeerWire):
    """Who a DID is: its keys, what they are for, and where its services are."""

    context: Any = Field(default=(DID_CONTEXT,), alias="@context")
    id: StrictStr
    methods: tuple[VerificationMethod, ...] = Field(
        default=(), alias="verificationMethod", max_length=METHODS_MAX
    )
    authentication: tuple[Any, ...] = Field(default=(), max_length=METHODS_MAX)
    assertion: tuple[Any, ...] = Field(default=(), alias="assertionMethod", max_length=METHODS_MAX)
    invocation: tuple[Any, ...] = Field(
        default=(), alias="capabilityInvocation", max_length=METHODS_MAX
    )
    service: tuple[ServiceEntry, ...] = Field(default=(), max_length=SERVICES_MAX)

    @classmethod
    def of(
        cls, did: str, keys: Sequence[PublicKey], services: Sequence[tuple[ServiceType, str]] = ()
    ) -> Self:
        """Return the document of ``did``; every key is for every purpose."""
        kids = tuple(key.kid for key in keys)
        return cls(
            id=did,
            methods=tuple(
                VerificationMethod(id=key.kid, controller=did, public_key_jwk=dict(key.jwk))
                for key in keys
            ),
            authentication=kids,
            assertion=kids,
            invocation=kids,
            service=tuple(
                ServiceEntry(id=f"{did}#{kind.value}", type=kind.value, endpoint=url)
                for kind, url in services
            ),
        )

    @classmethod
    def read(cls, raw: dict[str, Any], did: str) -> Self:
        """Read the document that was found for ``did``.

        Raises:
            DidError: It is not one, or of another DID.
        """
        try:
            document = cls.model_validate(raw)
        except ValidationError as error:
            raise DidError(f"not a DID document: {error.errors()[0]['msg']}") from None
        if document.id != did:
            raise DidError(f"the document of {did} says that it is of {document.id}"[:300])
        return document

    def key(self, kid: str | None, relationship: Relationship) -> dict[str, Any]:
        """Return the key that ``kid`` names, as a JWK (DCP 1.0.1, 4.3.3 step 3).

        Without a ``kid`` the document must hold one key only.

        Raises:
            DidError: No such key, or it is not for this purpose.
        """
        if kid is None:
            if len(self.methods) != 1:
                raise DidError("the token names no key and the document has not exactly one")
            wanted = self._absolute(self.methods[0].id)
        else:
            wanted = self._absolute(kid)
        found = [method for method in self.methods if self._absolute(method.id) == wanted]
        if len(found) != 1:
            raise DidError(f"{self.id} has no single key {wanted}"[:300])
        if wanted not in self._allowed(relationship):
            raise DidError(f"{wanted} is not for {relationship.value}"[:300])
        method = found[0]
        is_own = method.controller in {None, self.id} and wanted.startswith(f"{self.id}#")
        if not is_own or method.public_key_jwk is None:
            raise DidError(f"{wanted} is not a key of {self.id} itself"[:300])
        return method.public_key_jwk

    def _allowed(self, relationship: Relationship) -> set[str]:
        named: tuple[Any, ...] = {
            Relationship.AUTHENTICATION: self.authentication,
            Relationship.ASSERTION: self.assertion,
            Relationship.INVOCATION: self.invocation,
        }[relationship]
        return {self._absolute(one) for one in named if isinstance(one, str)}

    def _absolute(self, name: str) -> str:
        """Return a DID URL; documents and tokens may write the fragment only."""
        return name if name.startswith("did:") else f"{self.id}#{name.removeprefix('#')}"

    def endpoint(self, kind: ServiceType) -> str:
        """Return where a service of this DID is, without a trailing slash.

        Raises:
            DidError: It has none.
        """
        for service in self.service:
            if service.type == kind.value:
                return service.endpoint.rstrip("/")
        raise DidError(f"{self.id} has no {kind.value}"[:300])
