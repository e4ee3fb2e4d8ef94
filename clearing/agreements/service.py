"""Both sides tell us about an agreement; then it is billable."""

from __future__ import annotations

from dataclasses import replace

from clearing.agreements.model import Agreement, differing_fields, parties_of
from clearing.agreements.store import add_if_new, find_agreement, put_confirmations
from clearing.log.service import Log
from clearing.parties.store import remember
from databank.kit.db import UnitOfWork
from schemas.bank import AgreementAnswer, AgreementRecord
from schemas.ids import AgreementId, ParticipantId
from schemas.participant import Participant
from schemas.problem import ConflictError, ForbiddenError, InvalidRequestError, NotFoundError
from schemas.seal import SealKind
from schemas.wire import Text


class AgreementConflictError(ConflictError):
    """The two sides tell different things about one agreement."""

    slug = "agreement-conflict"
    title = Text(ko="합의 내용이 서로 다릅니다", en="The parties' records of the agreement differ")


def confirm(
    uow: UnitOfWork, record: AgreementRecord, caller: Participant, log: Log, *, fee_bps: int
) -> AgreementAnswer:
    """Take one side's record of an agreement; seal it once usage may be booked.

    Raises:
        ForbiddenError: The caller is no party of it.
        InvalidRequestError: Supplier and consumer are the same.
        AgreementConflictError: The other side, or the caller before, told something else.
        LogBrokenError: The log does not continue what was signed.
    """
    if caller.id not in parties_of(record):
        raise ForbiddenError(
            ko="합의의 공급기업이나 수요기업만 합의를 알릴 수 있습니다.",
            en="Only the supplier or the consumer of an agreement may tell us about it.",
        )
    if record.provider_id == record.consumer_id:
        raise InvalidRequestError(
            ko="공급기업과 수요기업이 같습니다. provider_id와 consumer_id를 확인하세요.",
            en="Supplier and consumer are the same. Check provider_id and consumer_id.",
        )
    remember(uow, caller)
    add_if_new(uow, Agreement(record, fee_bps))
    agreement = find_agreement(uow, record.agreement_id, lock=True)
    assert agreement is not None
    if names := differing_fields(agreement.record, record):
        raise AgreementConflictError(
            ko=f"상대가 알린 합의와 다릅니다: {', '.join(names)}. 합의 원문을 비교하세요.",
            en=f"The other side told us something else: {', '.join(names)}. Compare the agreement.",
            fields=names,
        )
    agreement = agreement.confirmed_by(caller.id, record)
    if agreement.is_meterable and agreement.seal is None:
        id_, digest = record.agreement_id, agreement.sealed.sha256
        agreement = replace(agreement, seal=log.seal(uow, SealKind.AGREEMENT, id_, digest))
    put_confirmations(uow, agreement)
    return AgreementAnswer(agreement_id=record.agreement_id, status=agreement.status)


def look_up(uow: UnitOfWork, agreement_id: AgreementId, party: ParticipantId) -> Agreement:
    """Return an agreement to one of its parties.

    Raises:
        NotFoundError: There is none that this party takes part in.
    """
    agreement = find_agreement(uow, agreement_id)
    if agreement is None or party not in parties_of(agreement.record):
        raise NotFoundError(
            ko=f"합의 {agreement_id}을(를) 찾을 수 없습니다. 아직 알려지지 않았을 수 있습니다.",
            en=f"There is no agreement {agreement_id} of yours. It may not have been told yet.",
            agreement_id=agreement_id,
        )
    return agreement
