"""Settings common to all services; each service subclasses ``ServiceSettings``.

Read once in the CLI and passed down; importing a module never reads the environment.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.ids import ParticipantId, did_web

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Environment(StrEnum):
    """Where a service runs; ``production`` refuses what is only safe on a laptop."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class ServiceSettings(BaseSettings):
    """What every service needs to know."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_nested_delimiter="__",
        secrets_dir=None,
        validate_default=True,
    )

    env: Environment = Field(
        default=Environment.DEVELOPMENT,
        description="`development` or `production`; production refuses generated secrets.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="TCP port to listen on.")
    public_url: str = Field(
        default="", description="URL under which others reach this service; decides its DID."
    )
    data_dir: Path = Field(
        default=Path("var"), description="Folder for database, keys and files of this service."
    )
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL; empty means SQLite in the data folder. PostgreSQL: "
        "`postgresql+psycopg://user:password@host/name`.",
    )
    database_password_file: Path | None = Field(
        default=None, description="File with the database password, put into the URL at start."
    )
    admin_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer token of the people who run this service; empty means one is made "
        "at first start and kept in the data folder (refused in production).",
    )
    admin_token_file: Path | None = Field(
        default=None, description="File with the bearer token, instead of `admin_token`."
    )
    broker_url: str = Field(
        default="http://localhost:8100", description="URL of the broker, whose registry is trusted."
    )
    body_bytes_max: int = Field(
        default=262_144, ge=1024, description="Largest request body of control messages, bytes."
    )
    http_timeout_seconds: float = Field(
        default=10.0, gt=0, description="Time limit for one call to another service, seconds."
    )
    registry_max_age_seconds: float = Field(
        default=5.0, ge=0, description="How long a registry answer is used unasked, seconds."
    )
    registry_grace_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="How long a known participant is still answered while the broker is down, "
        "seconds.",
    )
    log_format: str = Field(
        default="auto", pattern="^(auto|json|console)$", description="`auto`, `json`, `console`."
    )

    @field_validator("data_dir")
    @classmethod
    def _make_absolute(cls, folder: Path) -> Path:
        return folder.absolute()  # processes of ours that work elsewhere are told paths in it

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if self.env is Environment.PRODUCTION:
            if not self.admin_token.get_secret_value() and self.admin_token_file is None:
                raise ValueError("production needs admin_token_file: no token is made up there")
            if not self.public_url:
                raise ValueError("production needs public_url: others must reach this service")
        return self

    @property
    def url(self) -> str:
        """The URL under which others reach this service, without a trailing slash."""
        return (self.public_url or f"http://localhost:{self.port}").rstrip("/")

    @property
    def did(self) -> ParticipantId:
        """This service's id, which follows from its URL."""
        return did_web(self.url)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return (urlsplit(self.url).hostname or "") in LOOPBACK

    def database(self) -> str:
        """Return the SQLAlchemy URL with the password filled in."""
        if not self.database_url:
            return f"sqlite:///{self.data_dir / 'service.db'}"
        if self.database_password_file is None:
            return self.database_url
        password = self.database_password_file.read_text(encoding="utf-8").strip()
        scheme, rest = self.database_url.split("://", 1)
        user, host = rest.split("@", 1)
        return f"{scheme}://{user.split(':', 1)[0]}:{password}@{host}"
