"""A batch by agreement: checked against what was agreed, and counted, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow.compute as pc

from clearing.agreements.model import Agreement
from clearing.rating.rate import Run, month_of, runs_of
from schemas.ids import AgreementId, ParticipantId
from schemas.slices import Slice
from schemas.usage import records_of
from schemas.wire import format_time

_SUM_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Unmeterable:
    """A record whose agreement is not confirmed yet."""

    seq: int
    agreement_id: AgreementId


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that contradicts its agreement or the clock, and why."""

    seq: int
    ko: str
    en: str


def faults(
    slices: Iterable[Slice],
    agreements: Mapping[AgreementId, Agreement],
    provider_id: ParticipantId,
    *,
    ahead: datetime,
    behind: Mapping[AgreementId, datetime],
) -> Iterator[Unmeterable | Refusal]:
    """Give what is wrong with each slice, at most once a slice.

    Args:
        slices: A batch by agreement.
        agreements: Those of them that are known.
        provider_id: Whose stream it is.
        ahead: The latest moment that an act may have.
        behind: The earliest moment that an act of each agreement may have.
    """
    for part in slices:
        seq = first_seq(part)
        agreement = agreements.get(part.agreement_id)
        if agreement is not None and agreement.record.provider_id != provider_id:
            yield Refusal(seq, "다른 공급기업의 합의입니다", "another supplier's agreement")
        elif agreement is None or not agreement.is_meterable:
            yield Unmeterable(seq, part.agreement_id)
        elif not _is_as_agreed(part, agreement, behind[part.agreement_id], ahead):
            yield _named(part, agreement, behind[part.agreement_id], ahead)


def first_seq(part: Slice) -> int:
    """Return the sequence number of a slice's first record."""
    return int(part.rows.column("seq")[0].as_py())


def last_moment(slices: Iterable[Slice]) -> datetime:
    """Return when the last act of a batch took place."""
    ends = [(p.rows.column("seq")[-1].as_py(), p.rows.column("occurred_at")[-1]) for p in slices]
    moment: datetime = max(ends, key=lambda end: end[0])[1].as_py()
    return moment


def runs_in(part: Slice) -> list[Run]:
    """Count a slice: runs of acts within one calendar month in Seoul."""
    span = pc.min_max(part.rows.column("occurred_at"))
    month = month_of(span["min"].as_py())
    if month != month_of(span["max"].as_py()):
        return runs_of(records_of(part.rows))
    sums = (_sum(part.rows.column(f"{name}_count")) for name in ("queries", "rows", "bytes"))
    return [Run(month, part.rows.num_rows, *sums)]


def _sum(column: Any) -> int:  # noqa: ANN401 - pyarrow ships no types
    """Add up an integer column; Python's integers where Arrow's could wrap around."""
    if pc.max(column).as_py() * len(column) <= _SUM_MAX:
        return int(pc.sum(column).as_py())
    return sum(column.to_pylist())


def _is_as_agreed(part: Slice, agreement: Agreement, since: datetime, until: datetime) -> bool:
    told, rows = agreement.record, part.rows
    if pc.unique(rows.column("consumer_id")).to_pylist() != [told.consumer_id]:
        return False
    if pc.unique(rows.column("dataset_id")).to_pylist() != [told.dataset_id]:
        return False
    span = pc.min_max(rows.column("occurred_at")).as_py()
    return bool(since <= span["min"] and span["max"] <= until)


def _named(part: Slice, agreement: Agreement, since: datetime, until: datetime) -> Refusal:
    """Find the first record that is not as agreed."""
    told = agreement.record
    for record in records_of(part.rows):
        if (record.consumer_id, record.dataset_id) != (told.consumer_id, told.dataset_id):
            ko, en = "수요기업이나 데이터셋이 합의와 다릅니다", "not as the agreement says"
            return Refusal(record.seq, ko, en)
        if not since <= record.occurred_at <= until:
            moment = format_time(record.occurred_at)
            return Refusal(
                record.seq,
                f"{moment}은 합의 전이거나 미래입니다",
                f"{moment} is before the agreement or in the future",
            )
    raise AssertionError("one of the records is not as agreed")
