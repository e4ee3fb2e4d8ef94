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
