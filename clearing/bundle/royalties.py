"""Royalties computed anew, for a bundle: plan and income report give each line, to the won.

Who pays them sees more: each income report follows from the signed records of all agreements of the
product, and from the royalties that the product itself received. Who gets them sees the report
alone, and so no buyer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field

from clearing.bundle.replay import Account
from clearing.rating.rate import Amounts, Run
from clearing.shares.model import (
    Income,
    Key,
    Plan,
    Product,
    Recorded,
    Royalty,
    income_of,
    left_after,
    lines_of,
    next_line,
    royalty,
)
from schemas.bank import Statement
from schemas.ids import AgreementId, DatasetId, ParticipantId
from schemas.shares import IncomeReport, RoyaltyLine

CreditedWon = Callable[[AgreementId, str], int]


class BadRoyaltyError(ValueError):
    """A royalty line does not follow from what a bundle holds."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A plan or an income report whose seal was checked, and where that stands in the log."""

    log_index: int
    plan: Plan | None = None
    report: IncomeReport | None = None


def months_paid(statement: Statement) -> set[tuple[DatasetId, str]]:
    """Return the participant's products, with months, that a statement says royalties of."""
    return {
        (line.product_id, line.period or statement.period)
        for line in statement.royalties_paid or ()
    }


def months_told(
    target: Statement,
    statements: Iterable[Statement],
    datasets: Mapping[AgreementId, DatasetId],
) -> set[tuple[DatasetId, str]]:
    """Return the products, with months, whose royalties a statement tells or lowers.

    A credit on a sale lowers those that statements have told of its month.

    Args:
        target: The statement.
        statements: The participant's statements until then.
        datasets: What the agreements of its credits are about.
    """
    before = {each for statement in statements for each in months_paid(statement)}
    credited = {
        (datasets[line.agreement_id], line.original_period)
        for line in target.credits or ()
        if line.is_sale and line.agreement_id in datasets
    }
    return months_paid(target) | (credited & before)


def keys_needed(
    target: Statement, statements: Iterable[Statement], told: Container[tuple[DatasetId, str]]
) -> set[Key]:
    """Return the keys whose lines a statement's royalties follow from.

    Its own, and those that products of ``told`` paid and received royalties under in these months.
    """
    whose = target.participant_id
    needed = {key for key, _, _ in lines_of(target)}
    for statement in statements:
        for key, month, _ in lines_of(statement):
            is_paid = key.product.owner_id == whose and (key.product.dataset_id, month) in told
            received = key.upstream
            is_got = received.owner_id == whose and (received.dataset_id, month) in told
            if is_paid or is_got:
                needed.add(key)
    return needed


def sold_of(
    told: Container[tuple[DatasetId, str]],
    accounts: Mapping[AgreementId, Account],
    whose: ParticipantId,
) -> set[AgreementId]:
    """Return the participant's agreements that were stated in months of products in ``told``."""
    return {
        id_
        for id_, account in accounts.items()
        if account.agreement.record.provider_id == whose
        and any((account.agreement.record.dataset_id, m) in told for m in account.stated_counts)
    }


@dataclass
class Royalties:
    """Replays the royalty lines of one participant's statements, in the order of the log."""

    participant_id: ParticipantId
    keys: set[Key]
    plans: Mapping[str, Placed]
    incomes: Mapping[str, Placed]
    said: dict[tuple[Key, str], Recorded] = field(default_factory=dict)
    first: dict[tuple[Key, str], str] = field(default_factory=dict)  # statement with the first line
    under: dict[tuple[Key, str], Plan] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def check(self, statement: Statement, place: int) -> None:
        """Compute a statement's lines anew, and compare.

        Raises:
            BadRoyaltyError: A line is another, or what it follows from is missing.
        """
        seen: set[tuple[Key, str]] = set()
        for key, month, line in lines_of(statement):
            if (key, month) in seen:
                raise BadRoyaltyError(f"royalty to {line.upstream_id} is told twice")
            seen.add((key, month))
            if key in self.keys:
                self._check_line(key, month, line, statement, place)

    def _check_line(
        self, key: Key, period: str, line: RoyaltyLine, statement: Statement, place: int
    ) -> None:
        plan = self._plan(line.plan_sha256, place)
        report = self._report(line.income_id, place)
        edges = plan.upstream.get(key, [])
        product = Product(report.curator_id, report.product_id)
        if not edges or product != key.product or plan.product != key.product:
            raise BadRoyaltyError(f"plan or income of another product than {line.product_id}")
        if report.period != period or plan.sealed.from_period > period:
            raise BadRoyaltyError(f"plan or income of another month than {period}")
        owed = royalty(edges, income_of(report), fee_bps=plan.sealed.fee_bps)
        before = self.said.get((key, period), Recorded())
        so_far = self._all(key)
        new = next_line(owed, in_period=before, in_all=so_far)
        self.said[key, period] = before.plus(new)
        self.under[key, period] = plan
        computed = Royalty(key, plan, report, so_far.lines_count + 1, new)
        original = self.first.setdefault((key, period), statement.statement_id)
        due = computed.line_for(
            self.participant_id,
            line.counterparty_name,
            stated_in=statement.period,
            original=original,
        )
        if due != line:
            ours, theirs = due.to_json(), line.to_json()
            names = sorted(name for name in ours if ours[name] != theirs.get(name))
            said = ", ".join(f"{name} {theirs.get(name)} ≠ {ours[name]}" for name in names)
            raise BadRoyaltyError(f"royalty to ‘{line.upstream_title}’: {said}")

    def _all(self, key: Key) -> Recorded:
        found = Recorded()
        for (other, _), said in self.said.items():
            if other == key:
                found = found.plus(said)
        return found

    def _plan(self, sha256: str, place: int) -> Plan:
        found = self.plans.get(sha256)
        if found is None or found.plan is None or found.log_index >= place:
            raise BadRoyaltyError(f"split plan {sha256} is missing, or was made later")
        self.used.add(sha256)
        return found.plan

    def _report(self, income_id: str, place: int) -> IncomeReport:
        found = self.incomes.get(income_id)
        if found is None or found.report is None or found.log_index >= place:
            raise BadRoyaltyError(f"income report {income_id} is missing, or was made later")
        self.used.add(income_id)
        return found.report

    def check_incomes(
        self,
        target: Statement,
        told: Collection[tuple[DatasetId, str]],
        accounts: Iterable[Account],
        credited: CreditedWon,
    ) -> None:
        """Compute the income of each product that the target tells or lowers royalties of anew.

        Args:
            target: The last statement.
            told: What `months_told` returns.
            accounts: All agreements of the products.
            credited: Returns how much supply of an agreement's month statements have credited.

        Raises:
            BadRoyaltyError: A report says something else than the records and royalties give, or
                lines say more than is due.
        """
        held = list(accounts)
        incomes = {
            (id_, month): self._income(Product(self.participant_id, id_), month, held, credited)
            for id_, month in told
        }
        for line in target.royalties_paid or ():
            income = incomes[line.product_id, line.period or target.period]
            report = self.incomes[line.income_id].report
            assert report is not None
            if income_of(report) != income:
                raise BadRoyaltyError(f"income of ‘{line.product_title}’: {report} ≠ {income}")
        for id_, month in sorted(incomes):
            self._check_due(Product(self.participant_id, id_), month, incomes[id_, month])

    def _check_due(self, product: Product, month: str, income: Income) -> None:
        for (key, period), said in self.said.items():
            if (key.product, period) == (product, month):
                plan = self.under[key, period]
                owed = royalty(plan.upstream[key], income, fee_bps=plan.sealed.fee_bps)
                if said.micro.supply > owed.supply:
                    raise BadRoyaltyError(
                        f"{said.micro.supply} micro-won told of {month}, and {owed.supply} due"
                    )

    def _income(
        self, product: Product, month: str, held: Iterable[Account], credited: CreditedWon
    ) -> Income:
        income = Income()
        for account in held:
            record = account.agreement.record
            if (record.provider_id, record.dataset_id) == product:
                counts, micro = left_after(
                    account.stated_counts.get(month, Run(month)),
                    account.stated_micro.get(month, Amounts()),
                    credited_won=credited(record.agreement_id, month),
                    stated_won=sum(won.supply for _, won in account.lines.get(month, ())),
                )
                income = income.sold(counts, micro)
        for (key, period), said in self.said.items():
            if key.upstream == product and period == month:
                income = income.got(said.micro)
        return income

    def check_all_used(self) -> None:
        """Raise if the bundle holds a plan or an income report that nothing follows from.

        Raises:
            BadRoyaltyError: It does.
        """
        if self.used != {*self.plans, *self.incomes}:
            raise BadRoyaltyError("more than the statement follows from")
