"""Exactly once: where a stream stands, and what a batch means to it.

A stream is ``(provider, epoch)``; its watermark is the sequence number that is due next. A
batch below it was booked before, one above it leaves a gap, one at it must follow the body
that was booked last.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from schemas.usage import FIRST_PREVIOUS_SHA256, BatchHeader, UsageRecord


class Fit(Enum):
    """How a batch stands to its stream."""

    NEXT = auto()
    BEFORE = auto()  # at least its first record was booked
    GAP = auto()
    OTHER_CHAIN = auto()  # due, but it follows another body than the one we booked


@dataclass(frozen=True, slots=True)
class Position:
    """What is due next in a stream."""

    next_seq: int = 1
    last_body_sha256: str = FIRST_PREVIOUS_SHA256

    def fit(self, header: BatchHeader) -> Fit:
        """Say what a batch means to this stream."""
        if header.first_seq < self.next_seq:
            return Fit.BEFORE
        if header.first_seq > self.next_seq:
            return Fit.GAP
        if header.previous_sha256 != self.last_body_sha256:
            return Fit.OTHER_CHAIN
        return Fit.NEXT

    def after(self, header: BatchHeader) -> Position:
        """Return the position once the batch is booked."""
        return Position(header.first_seq + header.records_count, header.body_sha256)


def first_difference(booked: list[UsageRecord], sent: list[UsageRecord]) -> int | None:
    """Return the first sequence number under which other content was booked, if any."""
    before = {record.seq: record for record in booked}
    return next((r.seq for r in sent if r.seq in before and before[r.seq] != r), None)
