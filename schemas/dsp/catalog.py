"""Catalog protocol messages (DSP 2025-1, section 6)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, StrictStr

from schemas.dsp.message import Id, Message
from schemas.wire import PeerWire


class CatalogRequestMessage(Message):
    """Ask for a catalog; ``filter`` is implementation specific."""

    type: Literal["CatalogRequestMessage"] = Field(default="CatalogRequestMessage", alias="@type")
    filter: tuple[Any, ...] | None = None


class DataService(PeerWire):
    """Where a connector speaks DSP."""

    id: Id = Field(alias="@id")
    type: Literal["DataService"] = Field(default="DataService", alias="@type")
    endpoint_url: StrictStr = Field(alias="endpointURL")


class Catalog(Message):
    """A catalog, or one page of it; empty lists are left out, as the schema wants."""

    id: Id = Field(alias="@id")
    type: Literal["Catalog"] = Field(default="Catalog", alias="@type")
    participant_id: Id = Field(alias="participantId")
    service: tuple[DataService, ...] | None = Field(default=None, min_length=1)
    dataset: tuple[dict[str, Any], ...] | None = Field(default=None, min_length=1)
