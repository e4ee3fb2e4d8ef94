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
from schemas.terms import Terms, UnknownTermError, from_policy


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """A supplier's dataset as it was listed when we negotiated for it."""

    provider_id: ParticipantId
    provider_handle: str
    provider_name: str
    dataset: Dataset


@dataclass(frozen=True, slots=True)
class End:
    """Who ended an agreement, and why; ``code`` is a ``RefusalCode`` or a foreign word.

    ``at`` the agreement's own end nobody has: its time was up.
    """

    by: ParticipantId
    code: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Agreement:
    """A finalized agreement; ``policy`` is the ODRL Agreement of the DSP message.

    ``ends_at`` follows from the policy; ``end`` is there once one side has ended it, or its time
    was up.
    """

    id: AgreementId
    side: Side
    provider_id: ParticipantId
    consumer_id: ParticipantId
    dataset_id: DatasetId
    dataset_title: str
    policy: dict[str, Any]
    agreed_at: datetime
    ends_at: datetime | None = None
    end: End | None = None

    @property
    def is_terminated(self) -> bool:
        """Whether one side has ended it before its time."""
        return ended_early(self.ends_at, None if self.end is None else self.end.at)

    @property
    def counterparty_id(self) -> ParticipantId:
        """The other side."""
        return self.consumer_id if self.side is Side.PROVIDER else self.provider_id

    def is_over(self, now: datetime) -> bool:
        """Whether it gives no right of use any more: ended by one side, or its time is up."""
        return self.end is not None or (self.ends_at is not None and self.ends_at <= now)

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


def ended_early(ends_at: datetime | None, ended_at: datetime | None) -> bool:
    """Whether an agreement was ended at ``ended_at``, before its own end."""
    return ended_at is not None and (ends_at is None or ended_at < ends_at)


def end_of(policy: dict[str, Any], agreed_at: datetime) -> datetime | None:
    """Return when an agreed policy ends, as far as it says so and we can read it."""
    try:
        return from_policy(policy)[0].ends_at(agreed_at)
    except (UnknownTermError, OverflowError):
        return None
