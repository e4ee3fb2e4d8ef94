"""Transfer process messages (DSP 2025-1, section 10)."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, StrictStr

from schemas.dsp.message import Id, Message
from schemas.wire import PeerWire

ENDPOINT_TYPE: Final = "https://w3id.org/idsa/v4.1/HTTP"
EDC_NAMESPACE: Final = "https://w3id.org/edc/v0.0.1/ns/"  # of its properties; older ones of all
EDC_ENDPOINT: Final = EDC_NAMESPACE + "endpoint"  # EDC reads the endpoint here only


class EndpointProperty(PeerWire):
    """One named value of a data address."""

    type: Literal["EndpointProperty"] = Field(default="EndpointProperty", alias="@type")
    name: StrictStr
    value: StrictStr


class DataAddress(PeerWire):
    """Where the data is, and what opens it."""

    type: Literal["DataAddress"] = Field(default="DataAddress", alias="@type")
    endpoint_type: StrictStr = Field(alias="endpointType")
    endpoint: StrictStr | None = None
    endpoint_properties: tuple[EndpointProperty, ...] | None = Field(
        default=None, alias="endpointProperties", min_length=1
    )

    def value(self, name: str) -> str | None:
        """Return the property ``name``, also under the name that EDC gives it."""
        found = {p.name: p.value for p in self.endpoint_properties or ()}
        said = found.get(name) or found.get(EDC_NAMESPACE + name)
        return self.endpoint or said if name == "endpoint" else said


def bearer_address(endpoint: str, secret: str) -> DataAddress:
    """Return the address of ``endpoint``, opened by ``secret``."""
    values = {EDC_ENDPOINT: endpoint, "authorization": secret, "authType": "bearer"}
    return DataAddress(
        endpoint_type=ENDPOINT_TYPE,
        endpoint=endpoint,
        endpoint_properties=tuple(EndpointProperty(name=n, value=v) for n, v in values.items()),
    )


class TransferRequestMessage(Message):
    """Consumer: start moving data under an agreement."""

    type: Literal["TransferRequestMessage"] = Field(default="TransferRequestMessage", alias="@type")
    consumer_pid: Id = Field(alias="consumerPid")
    agreement_id: Id = Field(alias="agreementId")
    format: Id
    callback_address: Id = Field(alias="callbackAddress")
    data_address: DataAddress | None = Field(default=None, alias="dataAddress")


class _PidMessage(Message):
    consumer_pid: Id = Field(alias="consumerPid")
    provider_pid: Id = Field(alias="providerPid")


class TransferStartMessage(_PidMessage):
    """Data may flow; from the provider of a pull with the data address."""

    type: Literal["TransferStartMessage"] = Field(default="TransferStartMessage", alias="@type")
    data_address: DataAddress | None = Field(default=None, alias="dataAddress")


class TransferCompletionMessage(_PidMessage):
    """The transfer is done."""

    type: Literal["TransferCompletionMessage"] = Field(
        default="TransferCompletionMessage", alias="@type"
    )


class TransferSuspensionMessage(_PidMessage):
    """The transfer pauses."""

    type: Literal["TransferSuspensionMessage"] = Field(
        default="TransferSuspensionMessage", alias="@type"
    )
    code: StrictStr | None = None
    reason: tuple[Any, ...] | None = Field(default=None, min_length=1)


class TransferTerminationMessage(_PidMessage):
    """The transfer is over."""

    type: Literal["TransferTerminationMessage"] = Field(
        default="TransferTerminationMessage", alias="@type"
    )
    code: StrictStr | None = None
    reason: tuple[Any, ...] | None = Field(default=None, min_length=1)


class TransferProcessMessage(_PidMessage):
    """The state of a transfer process, as an answer."""

    type: Literal["TransferProcess"] = Field(default="TransferProcess", alias="@type")
    state: Literal["REQUESTED", "STARTED", "TERMINATED", "COMPLETED", "SUSPENDED"]
