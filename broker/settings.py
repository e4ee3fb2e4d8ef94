"""What the broker can be told by its environment, ``DATABANK_BROKER_…``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from databank.kit.settings import ServiceSettings
from schemas.participant import Brn, Name


class Admission(StrEnum):
    """Who becomes active by joining."""

    OPEN = "open"
    APPROVAL = "approval"


class BrokerSettings(ServiceSettings):
    """Settings of the broker."""

    model_config = SettingsConfigDict(env_prefix="DATABANK_BROKER_")

    port: int = Field(default=8100, ge=0, le=65_535, description="TCP port to listen on.")
    data_dir: Path = Field(
        default=Path("var/broker"), description="Folder for database and keys of the broker."
    )
    operator_name: Name = Field(
        default="산업데이터은행", description="Name of the operator, as participants see it."
    )
    operator_brn: Brn = Field(
        default="000-00-00000",
        description="Business registration number (사업자등록번호) of the operator.",
        validate_default=True,
    )
    operator_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What catalog and clearing show to be registered as operator; without it "
        "they are admitted in development on this machine only.",
    )
    operator_secret_file: Path | None = Field(
        default=None, description="File with the operator secret, instead of `operator_secret`."
    )
    admission: Admission = Field(
        default=Admission.OPEN,
        description="`open`: a company is active once it joined; `approval`: once the operator "
        "approved it.",
    )
    allow_private_networks: bool = Field(
        default=False,
        description="Whether production admits and crawls connectors at private addresses and "
        "without TLS, as inside one container network.",
    )
    membership_days: float = Field(
        default=30.0,
        gt=0,
        description="How long a membership credential is valid, days; it is renewed before.",
    )
    crawl_seconds: float = Field(
        default=60.0, gt=0, description="Time between crawls of an unchanged connector, seconds."
    )
    crawl_parallel: int = Field(
        default=4, ge=1, le=64, description="Connectors crawled at the same time."
    )
    crawl_pages_max: int = Field(
        default=200, ge=1, description="Pages read of one connector's catalog."
    )
    crawl_datasets_max: int = Field(
        default=5_000, ge=1, description="Datasets read of one connector's catalog."
    )
    crawl_bytes_max: int = Field(
        default=32 * 2**20, ge=1024, description="Bytes read of one connector's catalog."
    )
    crawl_time_max_seconds: float = Field(
        default=60.0, gt=0, description="Time limit for reading one connector's catalog, seconds."
    )

    def read_operator_secret(self) -> str:
        """Return the operator secret, or nothing if none is configured."""
        if self.operator_secret_file is not None:
            return self.operator_secret_file.read_text(encoding="utf-8").strip()
        return self.operator_secret.get_secret_value()
