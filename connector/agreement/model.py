"""An agreement as one side holds it: the policy exactly as it was agreed on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.side import Side
from schemas.bank import AgreementRecord
from schemas.canonical import digest
from schemas.dataset import Dataset
from schemas.ids import AgreementId, DatasetId, ParticipantId
from schemas.price import PricePlan
from schemas.terms import Terms, from_policy


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """A supplier's dataset as it was listed when we negotiated for it."""

    provider_id: ParticipantId
    provider_handle: str
    provider_name: str
    dataset: Dataset


@dataclass(frozen=True, slots=True)
class Agreement:
    """A finalized agreement; ``policy`` is the ODRL Agreement of the DSP message."""

    id: AgreementId
    side: Side
    provider_id: ParticipantId
    consumer_id: ParticipantId
    dataset_id: DatasetId
    dataset_title: str
    policy: dict[str, Any]
    agreed_at: datetime
    is_terminated: bool = False

    def terms_and_plan(self) -> tuple[Terms, PricePlan]:
        """Read the agreed policy.

        Raises:
            UnknownTermError: It holds something outside the profile, and permits nothing.
        """
        return from_policy(self.policy)

    def record(self) -> AgreementRecord:
        """Return what both sides tell clearing.

        Raises:
            UnknownTermError: The policy's price cannot be read.
        """
        return AgreementRecord(
            agreement_id=self.id,
            provider_id=self.provider_id,
            consumer_id=self.consumer_id,
            dataset_id=self.dataset_id,
            dataset_title=self.dataset_title,
            plan=self.terms_and_plan()[1],
            policy_sha256=digest(self.policy),
            agreed_at=self.agreed_at,
        )
