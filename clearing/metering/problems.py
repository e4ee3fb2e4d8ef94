"""What may be wrong with a batch."""

from __future__ import annotations

from schemas.problem import ConflictError, InvalidRequestError
from schemas.wire import Text


class InvalidBatchError(InvalidRequestError):
    """The batch is not what its header says, or the header is not the caller's."""

    slug = "invalid-batch"
    title = Text(ko="사용 기록 묶음이 올바르지 않습니다", en="The usage batch is invalid")


class SequenceGapError(ConflictError):
    """Another sequence number is due."""

    slug = "sequence-gap"
    title = Text(ko="사용 기록의 순번이 이어지지 않습니다", en="The batch is out of sequence")


class ChainBrokenError(ConflictError):
    """The batch follows another batch than the one that was booked."""

    slug = "batch-chain-broken"
    title = Text(ko="앞 묶음의 해시가 다릅니다", en="The batch follows another one than booked")


class EquivocationError(ConflictError):
    """Other content was signed under a sequence number that is booked."""

    slug = "equivocation"
    title = Text(ko="같은 순번으로 다른 기록이 있습니다", en="Two contents under one number")


class RecordRefusedError(InvalidRequestError):
    """One record contradicts its agreement or the clock."""

    slug = "record-refused"
    title = Text(ko="사용 기록을 받을 수 없습니다", en="A usage record is refused")


class AgreementPendingError(ConflictError):
    """A record's agreement is not confirmed yet."""

    slug = "agreement-pending"
    title = Text(ko="합의가 아직 확정되지 않았습니다", en="The agreement is not confirmed yet")
