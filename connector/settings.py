"""Settings of a connector."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from databank.kit.settings import Environment, ServiceSettings
from schemas.ids import did_web

DCP_PATH: Final = "/dcp"  # where our credential service is


class IdentityCheck(StrEnum):
    """What a caller of the protocol routes has to show."""

    DCP = "dcp"
    REGISTRY = "registry"


class ConnectorSettings(ServiceSettings):
    """What a company's connector needs to know."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_prefix="DATABANK_CONNECTOR_", env_nested_delimiter="__"
    )

    port: int = Field(default=8401, ge=0, le=65_535, description="TCP port to listen on.")
    catalog_url: str = Field(
        default="http://localhost:8200", description="URL of the catalog, for search."
    )
    clearing_url: str = Field(
        default="http://localhost:8300", description="URL of the clearing service."
    )
    identity: IdentityCheck = Field(
        default=IdentityCheck.DCP,
        description="What callers of protocol routes have to show: `dcp`, a membership credential "
        "of a trusted issuer; `registry`, only a token under the key that the registry has.",
    )
    trusted_issuers: tuple[str, ...] = Field(
        default=(),
        description="DIDs whose membership credentials count, as a JSON list; empty means the "
        "broker's.",
    )
    membership_max_age_seconds: float = Field(
        default=300.0,
        ge=0,
        description="How long a verified membership is believed unasked, seconds; a revocation "
        "notice ends it at once.",
    )
    document_max_age_seconds: float = Field(
        default=300.0, ge=0, description="How long a fetched DID document is used, seconds."
    )
    status_list_max_age_seconds: float = Field(
        default=60.0, ge=0, description="How long a fetched status list is used, seconds."
    )
    allow_private_networks: bool = Field(
        default=False,
        description="Whether production fetches DID documents and status lists of strangers from "
        "private addresses, as inside one container network.",
    )
    catalog_page_size: int = Field(
        default=100, ge=1, le=1000, description="Datasets on one page of the DSP catalog."
    )
    outbox_attempts_max: int = Field(
        default=40, ge=1, description="How often a message is tried before its process ends."
    )
    negotiation_days: float = Field(
        default=14.0,
        gt=0,
        le=3650,
        description="How long a negotiation waits for the next message of either side, days.",
    )
    upload_bytes_max: int = Field(
        default=2 * 2**30, ge=1, description="Largest file that can be uploaded, bytes."
    )
    upload_hours: float = Field(
        default=24.0, gt=0, description="How long an upload waits to be published, hours."
    )
    check_seconds_max: float = Field(
        default=300.0, gt=0, description="Time limit for reading an uploaded file, seconds."
    )
    check_memory_bytes: int = Field(
        default=4 * 2**30, ge=2**28, description="Memory limit for reading an upload, bytes."
    )
    query_seconds_max: float = Field(
        default=30.0, gt=0, le=600, description="Longest run of one query, seconds."
    )
    result_rows_max: int = Field(
        default=10_000_000, ge=1, description="Largest result of one query, rows."
    )
    result_bytes_max: int = Field(
        default=64 * 2**20, ge=1024, description="Largest result of one query, bytes."
    )
    worker_memory_bytes: int = Field(
        default=1_250_000_000,
        ge=500_000_000,
        description="Memory of one SQL worker process, bytes.",
    )
    workers_max: int = Field(
        default=2, ge=1, le=64, description="SQL worker processes that run at the same time."
    )
    queries_waiting_max: int = Field(
        default=64, ge=0, description="Queries that wait for a worker; further ones are refused."
    )
    grant_slice_micro: int = Field(
        default=1_000_000_000,
        ge=0,
        description="Hold on the buyer's deposit to ask for at a time, micro-won.",
    )
    start_wait_seconds: float = Field(
        default=15.0, gt=0, le=60, description="Longest wait for a transfer to start, seconds."
    )

    @property
    def shows_credentials(self) -> bool:
        """Whether callers, and we as a caller, show credentials."""
        return self.identity is IdentityCheck.DCP

    @property
    def issuers(self) -> frozenset[str]:
        """The DIDs whose membership credentials count."""
        return frozenset(self.trusted_issuers) or frozenset({did_web(self.broker_url)})

    @property
    def is_guarded(self) -> bool:
        """Whether strangers are fetched from the open internet only."""
        return self.env is Environment.PRODUCTION and not self.allow_private_networks

    @property
    def dcp_url(self) -> str:
        """Where our credential service is."""
        return f"{self.url}{DCP_PATH}"
