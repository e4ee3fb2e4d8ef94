"""An agreement as clearing holds it: billable once both sides have told the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.bank import AgreementRecord, AgreementStatus
from schemas.ids import ParticipantId
from schemas.seal import SealedAgreement


@dataclass(frozen=True, slots=True)
class Agreement:
    """The record, who has confirmed it, and the fee that was agreed when it arrived."""

    record: AgreementRecord
    fee_bps: int
    is_confirmed_by_provider: bool = False
    is_confirmed_by_consumer: bool = False
    seal: str | None = None  # the signed leaf of the log, from when usage may be booked

    @property
    def sealed(self) -> SealedAgreement:
        """What the seal is over: all that charges are computed from."""
        return SealedAgreement(record=self.record, fee_bps=self.fee_bps)

    @property
    def status(self) -> AgreementStatus:
        """Active when both sides have confirmed."""
        both = self.is_confirmed_by_provider and self.is_confirmed_by_consumer
        return AgreementStatus.ACTIVE if both else AgreementStatus.HALF_CONFIRMED

    @property
    def is_meterable(self) -> bool:
        """Whether usage may be booked.

        A free agreement costs the consumer nothing, so its silence must not stop the
        supplier's meter; the supplier's own word is enough there.
        """
        if self.record.plan.is_free:
            return self.is_confirmed_by_provider
        return self.status is AgreementStatus.ACTIVE

    def confirmed_by(self, party: ParticipantId, record: AgreementRecord) -> Agreement:
        """Return the agreement after a party told it.

        The title is the supplier's word until the agreement is sealed.
        """
        is_last_word = party == self.record.provider_id and self.seal is None
        return replace(
            self,
            record=record if is_last_word else self.record,
            is_confirmed_by_provider=self.is_confirmed_by_provider
            or party == self.record.provider_id,
            is_confirmed_by_consumer=self.is_confirmed_by_consumer
            or party == self.record.consumer_id,
        )


def parties_of(record: AgreementRecord) -> frozenset[ParticipantId]:
    """Return both parties."""
    return frozenset({record.provider_id, record.consumer_id})


def differing_fields(left: AgreementRecord, right: AgreementRecord) -> list[str]:
    """Return the names of the fields that two records of one agreement do not share.

    The title is for people and not agreed upon: a foreign consumer may not know it.
    """
    ours, theirs = left.to_json(), right.to_json()
    names = set(ours) - {"dataset_title"}
    return sorted(name for name in names if ours[name] != theirs.get(name))
