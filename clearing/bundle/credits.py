"""Credit lines as pure functions: made when they are stated, and made again when one is proven."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from clearing.bundle.replay import Account
from clearing.disputes.refund import credit_of
from clearing.rating.rate import SEOUL, Amounts
from schemas.bank import AgreementRecord, CreditLine, Statement
from schemas.dispute import CreditPart, DisputeMove, DisputeReason, MoveKind
from schemas.ids import AgreementId, ParticipantId

ENDS: Final = frozenset({MoveKind.DECIDED, MoveKind.SETTLED, MoveKind.EXPIRED})


def credit_line(
    record: AgreementRecord,
    party: ParticipantId,
    counterparty_name: str,
    *,
    dispute_id: str,
    reason: DisputeReason,
    decided_on: date,
    part: CreditPart,
    amounts: Amounts,
    original: str,
) -> CreditLine:
    """Return what a party's statement says of a refund.

    Args:
        record: The agreement.
        party: Whose statement it is: the buyer's has no fee.
        counterparty_name: The other party's name.
        dispute_id: The dispute.
        reason: What was contested.
        decided_on: When it ended, in Seoul.
        part: Which line it is of, and which of its won.
        amounts: What it takes back, as the supplier sees it.
        original: The party's statement that says the line.
    """
    is_sale = party == record.provider_id
    seen = amounts if is_sale else Amounts(amounts.supply, amounts.vat)
    return CreditLine(
        dispute_id=dispute_id,
        reason=reason,
        decided_on=decided_on,
        is_sale=is_sale,
        original_statement_id=original,
        original_period=part.period,
        original_line=part.line,
        agreement_id=record.agreement_id,
        dataset_title=record.dataset_title,
        counterparty_id=record.consumer_id if is_sale else record.provider_id,
        counterparty_name=counterparty_name,
        before_won=part.before_won,
        supply_won=seen.supply,
        vat_won=seen.vat,
        fee_won=seen.fee,
        fee_vat_won=seen.fee_vat,
        net_won=seen.earned + seen.vat,
    )


def day_of(end: DisputeMove) -> date:
    """Return the day in Seoul on which a dispute ended."""
    return end.at.astimezone(SEOUL).date()


class BadCreditError(ValueError):
    """A credit line does not follow from what the bundle holds."""


class Credits:
    """The ends of disputes in a bundle, against the credit lines that follow from them."""

    def __init__(self, ends: Mapping[str, tuple[int, DisputeMove]]) -> None:
        self._ends = ends  # with their places in the log
        self._told: set[tuple[str, str, int]] = set()
        self._taken: dict[tuple[AgreementId, str, int], list[range]] = {}
        self._credited: dict[tuple[AgreementId, str], int] = {}

    def check(
        self, statement: Statement, accounts: Mapping[AgreementId, Account], place: int
    ) -> set[AgreementId]:
        """Compare a statement's credits with what the ends of their disputes make of old lines.

        Credits about agreements that the bundle does not hold are passed over.

        Args:
            statement: The statement.
            accounts: What the bundle's agreements were stated so far.
            place: Where the statement's seal stands in the log.

        Returns:
            The agreements that it has credits about.

        Raises:
            BadCreditError: One does not follow.
        """
        told = set()
        for line in statement.credits or ():
            if line.agreement_id in accounts:
                self._check_line(line, accounts[line.agreement_id], statement, place)
                told.add(line.agreement_id)
        return told

    def _check_line(
        self, line: CreditLine, account: Account, statement: Statement, place: int
    ) -> None:
        found = self._ends.get(line.dispute_id)
        if found is None or found[0] >= place:
            raise BadCreditError("the end of its dispute is not in the bundle, or came later")
        end = found[1]
        part = _part(end, line)
        original, stated = _original(account, part)
        due = credit_line(
            account.agreement.record,
            statement.participant_id,
            line.counterparty_name,
            dispute_id=end.dispute_id,
            reason=end.reason or DisputeReason.COUNT,
            decided_on=day_of(end),
            part=part,
            amounts=credit_of(stated, part),
            original=original,
        )
        if due != line:
            ours, theirs = due.to_json(), line.to_json()
            names = sorted(name for name in ours if ours[name] != theirs[name])
            raise BadCreditError(
                ", ".join(f"{name} {theirs[name]} ≠ {ours[name]}" for name in names)
            )
        self._take(line, part)

    def _take(self, line: CreditLine, part: CreditPart) -> None:
        told = line.dispute_id, part.period, part.line
        span = range(part.before_won, part.before_won + part.supply_won)
        taken = self._taken.setdefault((line.agreement_id, part.period, part.line), [])
        if told in self._told or any(
            span.start < other.stop and other.start < span.stop for other in taken
        ):
            raise BadCreditError("it takes back what another credit has taken back")
        self._told.add(told)
        taken.append(span)
        month = line.agreement_id, part.period
        self._credited[month] = self._credited.get(month, 0) + part.supply_won

    def credited(self, agreement_id: AgreementId, period: str) -> int:
        """Return how much supply of an agreement's month was credited so far, in won."""
        return self._credited.get((agreement_id, period), 0)

    def check_all_told(self, target: Statement, accounts: Mapping[AgreementId, Account]) -> None:
        """Compare what the ends refund with what the statements credit.

        Raises:
            BadCreditError: One says more than the other, or an agreement is missing.
        """
        if any(line.agreement_id not in accounts for line in target.credits or ()):
            raise BadCreditError("the agreement of a credit is not in the bundle")
        due = {
            (end.dispute_id, part.period, part.line)
            for _, end in self._ends.values()
            for part in end.parts or ()
        }
        if due != self._told or any(not end.parts for _, end in self._ends.values()):
            raise BadCreditError("credits are missing, or an end of a dispute is not needed")


def _part(end: DisputeMove, line: CreditLine) -> CreditPart:
    if end.kind not in ENDS or end.agreement_id != line.agreement_id:
        raise BadCreditError("the move is no end of a dispute about this agreement")
    for part in end.parts or ():
        if (part.period, part.line) == (line.original_period, line.original_line):
            return part
    raise BadCreditError("the dispute did not refund this line")


def _original(account: Account, part: CreditPart) -> tuple[str, Amounts]:
    lines = account.lines.get(part.period, [])
    if part.line > len(lines):
        raise BadCreditError("the line that it names is not stated before it")
    statement_id, stated = lines[part.line - 1]
    if part.before_won + part.supply_won > stated.supply:
        raise BadCreditError("more than the line says")
    return statement_id, stated
