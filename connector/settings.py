"""Settings of a connector."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from databank.kit.settings import ServiceSettings


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
    catalog_page_size: int = Field(
        default=100, ge=1, le=1000, description="Datasets on one page of the DSP catalog."
    )
    outbox_attempts_max: int = Field(
        default=40, ge=1, description="How often a message is tried before its process ends."
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
        default=16, ge=0, description="Queries that wait for a worker; further ones are refused."
    )
    grant_slice_micro: int = Field(
        default=1_000_000_000,
        ge=0,
        description="Hold on the buyer's deposit to ask for at a time, micro-won.",
    )
    start_wait_seconds: float = Field(
        default=15.0, gt=0, le=60, description="Longest wait for a transfer to start, seconds."
    )
