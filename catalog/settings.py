"""What the catalog can be told by its environment, ``DATABANK_CATALOG_…``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from databank.kit.settings import ServiceSettings
from schemas.participant import Brn, Name


class CatalogSettings(ServiceSettings):
    """Settings of the catalog."""

    model_config = SettingsConfigDict(env_prefix="DATABANK_CATALOG_")

    port: int = Field(default=8200, ge=0, le=65_535, description="TCP port to listen on.")
    data_dir: Path = Field(
        default=Path("var/catalog"), description="Folder for database and keys of the catalog."
    )
    operator_name: Name = Field(
        default="산업데이터은행 카탈로그",
        description="Name under which the catalog is registered at the broker.",
    )
    operator_brn: Brn = Field(
        default="000-00-00000",
        description="Business registration number (사업자등록번호) of the operator.",
        validate_default=True,
    )
    operator_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What the broker asks of the operator's own services when they register.",
    )
    operator_secret_file: Path | None = Field(
        default=None, description="File with the operator secret, instead of `operator_secret`."
    )
    feed_seconds: float = Field(
        default=1.0, gt=0, description="Time between looks at the broker's feed, seconds."
    )

    def read_operator_secret(self) -> str:
        """Return the operator secret, or nothing if none is configured."""
        if self.operator_secret_file is not None:
            return self.operator_secret_file.read_text(encoding="utf-8").strip()
        return self.operator_secret.get_secret_value()
