"""Settings of the clearing service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from databank.kit.settings import ServiceSettings
from schemas.invoice import Issuing

OfficerKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class ClearingSettings(ServiceSettings):
    """What the clearing service needs to know."""

    model_config = SettingsConfigDict(env_prefix="DATABANK_CLEARING_")

    port: int = Field(default=8300, ge=0, le=65_535, description="TCP port to listen on.")
    data_dir: Path = Field(
        default=Path("var/clearing"), description="Folder for database and keys of this service."
    )
    fee_bps: int = Field(
        default=500,
        ge=0,
        le=5000,
        description="The operator's fee on each supply, basis points (500 = 5 %); holds for "
        "agreements told from now on.",
    )
    royalty_fee_bps: int = Field(
        default=0,
        ge=0,
        le=5000,
        description="The operator's fee on each royalty, basis points; holds for split plans "
        "registered from now on. The sale that a royalty is of has paid a fee already.",
    )
    grant_seconds: int = Field(
        default=300, ge=1, le=86_400, description="How long a hold on a deposit lasts, seconds."
    )
    silence_hours: float = Field(
        default=72.0,
        gt=0,
        le=8760,
        description="How long a buyer may take to sign what it received, before the supplier's "
        "word stands alone, hours.",
    )
    dispute_evidence_days: float = Field(
        default=10.0,
        gt=0,
        le=365,
        description="How long both sides of a dispute may add evidence, days.",
    )
    dispute_decision_days: float = Field(
        default=20.0,
        gt=0,
        le=365,
        description="How long after that the operator may decide a dispute, or its sides settle "
        "it, before it expires, days.",
    )
    checkpoint_seconds: float = Field(
        default=1.0,
        gt=0,
        le=3600,
        description="How often a checkpoint of the log is signed if leaves were added, seconds.",
    )
    witnesses: tuple[str, ...] = Field(
        default=(),
        max_length=31,
        description="URLs of connectors that are asked to cosign the log's checkpoints, as a JSON "
        "list.",
    )
    witness_quorum: int = Field(
        default=0,
        ge=0,
        le=31,
        description="How many witnesses have to cosign; fewer since the start, or too late, and "
        "nothing is added to the log. 0: nothing waits for witnesses.",
    )
    witness_grace_seconds: float = Field(
        default=14_400.0,
        gt=0,
        description="How long the log goes on without the quorum's cosignatures, seconds.",
    )
    name: str = Field(
        default="산업데이터은행 청산소",
        min_length=1,
        max_length=100,
        description="Name under which this service registers at the broker.",
    )
    brn: str = Field(
        default="1000000009", description="사업자등록번호 of the operator, ten digits."
    )
    invoice_issuing: Issuing = Field(
        default=Issuing.PRINCIPAL,
        description="Who issues tax invoices for data: `principal` (the seller) or `agent` "
        "(the operator in the seller's name, 위수탁).",
    )
    officers: dict[str, OfficerKey] = Field(
        default={},
        description="Who may approve payouts: JSON of name and Ed25519 public key, as `databank "
        "operator officer-key` prints it. Two of them must approve each payout.",
    )
    account_wait_hours: float = Field(
        default=48.0,
        ge=0,
        le=8760,
        description="How long a participant that changed its bank account is left out of payouts, "
        "hours.",
    )
    operator_secret: SecretStr = Field(
        default=SecretStr(""),
        description="The broker's operator secret, which registers this service as `operator`.",
    )
    operator_secret_file: Path | None = Field(
        default=None, description="File with the operator secret, instead of `operator_secret`."
    )
    join_retry_seconds: float = Field(
        default=1.0,
        gt=0,
        description="First pause before registering at the broker is tried again, seconds; "
        "doubles up to 30.",
    )

    @property
    def dispute_days(self) -> tuple[float, float]:
        """How long evidence, and then a decision, may take."""
        return self.dispute_evidence_days, self.dispute_decision_days

    @field_validator("officers")
    @classmethod
    def _no_key_twice(cls, officers: dict[str, str]) -> dict[str, str]:
        if len(set(officers.values())) != len(officers):
            raise ValueError("two officers have the same key: one person could approve twice")
        return officers

    @model_validator(mode="after")
    def _enough_witnesses(self) -> Self:
        if self.witness_quorum > len(self.witnesses):
            raise ValueError(
                f"witness_quorum is {self.witness_quorum}, but there are "
                f"{len(self.witnesses)} witnesses"
            )
        return self

    def read_operator_secret(self) -> str:
        """Return the operator secret from the file or the setting."""
        if self.operator_secret_file is not None:
            return self.operator_secret_file.read_text(encoding="utf-8").strip()
        return self.operator_secret.get_secret_value()
