"""``databank.connect()``: search, agree, quote, query; costs before and after."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias
from urllib.parse import quote

import httpx

from databank.client.api import Api, expect_success, open_http
from databank.client.cost import Cost, CostLine
from databank.client.haggling import Haggling
from databank.client.listings import Found, Listings
from databank.client.profile import Profile, find_profile
from databank.client.ref import Ref
from databank.client.suppliers import RANGE_BYTES, Dataset, Suppliers
from databank.kit.clock import new_urn
from schemas.attestation import Comparison
from schemas.bank import Balance, Passbook, Statement
from schemas.dispute import DisputeList, DisputeReason, DisputeView, OpenRequest
from schemas.ids import AgreementId
from schemas.management import AgreementView, DecisionView, NegotiationView
from schemas.money import MICRO_PER_WON
from schemas.problem import NotFoundError
from schemas.proposal import Proposal
from schemas.spending import Spending, SpendingLimit
from schemas.witness import WitnessView

if TYPE_CHECKING:
    from databank.client.answer import Answer
    from databank.client.plan import Plan


def connect_to(url: str | None, token: str | None) -> Session:
    """Return a session; see ``databank.connect``."""
    return Session(find_profile(url, token, environment=os.environ))


OnQuote: TypeAlias = Callable[[Cost], None]


def _approve(quote: Cost, budget_won: int | None, on_quote: OnQuote | None) -> None:
    quote.check(budget_won)
    if on_quote is not None:
        on_quote(quote)


def _most(quote: Cost, budget_won: int | None) -> int:
    """Return what may be spent, in micro-won with VAT: the budget, or what was approved."""
    return quote.total_micro if budget_won is None else budget_won * MICRO_PER_WON


def _ignore(done: int, total: int) -> None:
    del done, total


class Session:
    """A curator's or buyer's session with its company's connector."""

    def __init__(self, profile: Profile, *, http: httpx.Client | None = None) -> None:
        self._http = http or open_http()
        self.management = Api(profile.url, profile.token, self._http)
        self._suppliers = Suppliers(self.management, make_id=new_urn)

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def __repr__(self) -> str:
        return f"databank.connect({self.management.url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(
        self,
        words: str = "",
        *,
        domain: str | None = None,
        industry: str | None = None,
        provider: str | None = None,
        limit: int = 20,
    ) -> Listings:
        """Find datasets by Korean or English words."""
        hits = self._suppliers.search(
            words, domain=domain, industry=industry, provider=provider, limit=limit
        )
        agreements = self._suppliers.agreements()
        return Listings([self._suppliers.found(hit, agreements) for hit in hits])

    def show(self, ref: str) -> Found:
        """Return one dataset as it is listed, or as we have agreed on it if it no longer is.

        Raises:
            NotFoundError: There is none of that name.
        """
        return self._suppliers.current(Ref.parse(ref))

    def agree(self, ref: str) -> AgreementId:
        """Take the supplier's offer as it stands; returns the running agreement if there is one.

        Raises:
            NegotiationPendingError: The supplier's people have to approve first.
            NegotiationFailedError: The supplier refused, with its reason.
        """
        found = self.show(ref)
        if found.agreement_id is not None:
            return found.agreement_id
        return self._suppliers.agree(found.listing)

    def propose(self, ref: str, proposal: Proposal) -> NegotiationView:
        """Ask for a dataset on other terms than the listed; its ``state`` says how it went."""
        return self._suppliers.negotiate(self.show(ref).listing, proposal)

    @property
    def haggling(self) -> Haggling:
        """Our negotiations and agreements, on both sides."""
        return Haggling(self.management)

    def agreements(self) -> list[AgreementView]:
        """Return the agreements that we hold as consumer, newest first."""
        return self._suppliers.agreements()

    def quote(self, sql: str) -> Cost:
        """Return what a query would cost now; nothing is charged.

        Raises:
            SqlError: Not one SELECT over datasets.
            NoAgreementError: A dataset has no agreement yet.
        """
        plan, datasets = self._prepare(sql, auto_agree=False)
        return self._quote(plan, datasets)

    def quote_read(self, ref: str) -> Cost:
        """Return what reading the whole file would cost."""
        parsed = Ref.parse(ref)
        line = self._suppliers.price(parsed, self._suppliers.dataset(parsed), None)
        return Cost((line,), is_charged=False)

    def sql(
        self,
        sql: str,
        *,
        budget_won: int | None = None,
        auto_agree: bool = False,
        on_quote: OnQuote | None = None,
    ) -> Answer:
        """Run a query: each supplier its part, the rest here; then ``.cost`` tells the charges.

        Args:
            sql: DuckDB SELECT; datasets are called ``handle.name``. Timestamps are in UTC;
                ``ts AT TIME ZONE 'Asia/Seoul'`` gives Korean time.
            budget_won: Refuse, before any row moves, if the quote with VAT is above it. It is
                hard: suppliers refuse what would bring the charges above it.
            auto_agree: Take free offers that the query needs without asking.
            on_quote: Called with the quote before anything is spent; raises to refuse. Not
                called where everything is free.

        Raises:
            SqlError: Not one SELECT over datasets, or DuckDB refuses it.
            UnknownColumnError: It names a column that there is not.
            UnjoinedError: It fails after the suppliers' parts were paid, which it holds.
            NoAgreementError: A dataset has no agreement yet.
            BudgetExceededError: The quote is above the budget.
            RemoteRefusedError: A supplier's policy or our balance does not allow it.
        """
        from databank.client.answer import answer_locally  # noqa: PLC0415 - DuckDB loads slowly

        plan, datasets = self._prepare(sql, auto_agree=auto_agree)
        is_asked = budget_won is not None or on_quote is not None
        most = None
        if is_asked and not all(dataset.is_free for dataset in datasets.values()):
            quote = self._quote(plan, datasets)
            _approve(quote, budget_won, on_quote)
            most = _most(quote, budget_won)
        lines: list[CostLine] = []
        tables = {}
        for part in plan.parts:
            spent = sum(line.total_micro for line in lines)
            table, line = self._suppliers.query(
                part.ref,
                datasets[part.ref],
                part.sql,
                total_max_micro=None if most is None else max(0, most - spent),
            )
            tables[part.ref] = table
            lines.append(line)
        return answer_locally(plan, tables, Cost(tuple(lines), is_charged=True))

    def read(
        self,
        ref: str,
        path: str | Path,
        *,
        on_bytes: Callable[[int, int], None] = _ignore,
        range_bytes: int = RANGE_BYTES,
        budget_won: int | None = None,
        on_quote: OnQuote | None = None,
    ) -> Path:
        """Read a dataset's Arrow file; call again to go on after an interruption.

        ``budget_won`` and ``on_quote`` are as in ``sql``. What was paid for is not paid again.

        Raises:
            BudgetExceededError: The quote is above the budget.
            RemoteRefusedError: The terms allow queries only, or the balance is used up.
        """
        parsed, target = Ref.parse(ref), Path(path)
        dataset = self._suppliers.dataset(parsed)
        is_asked = budget_won is not None or on_quote is not None
        most = None
        if is_asked and not dataset.is_free:
            quote = Cost((self._suppliers.price(parsed, dataset, None),), is_charged=False)
            _approve(quote, budget_won, on_quote)
            most = _most(quote, budget_won)
        self._suppliers.read(
            parsed,
            dataset,
            target,
            on_bytes=on_bytes,
            range_bytes=range_bytes,
            total_max_micro=most,
        )
        return target

    def spending(self, ref: str) -> Spending:
        """Return what a dataset has cost us this month with VAT, and the limit."""
        path = f"/management/agreements/{self._agreement_for(ref)}/spending"
        return Spending.model_validate(self.management.get(path))

    def limit_spending(
        self, ref: str, limit_won: int | None, *, forget_unsettled: bool = False
    ) -> Spending:
        """Set the most, in won with VAT, that a dataset may cost us in a month; None lifts it.

        Our connector keeps it, whoever asks: an act that could cost more is not sent.
        ``forget_unsettled`` lets go of what is set aside for acts whose answers were lost.
        """
        limit = None if limit_won is None else limit_won * MICRO_PER_WON
        wish = SpendingLimit(limit_micro=limit, forget_unsettled=forget_unsettled)
        path = f"/management/agreements/{self._agreement_for(ref)}/spending-limit"
        return Spending.model_validate(self.management.repeat("PUT", path, json=wish.to_json()))

    def decisions(self, name: str) -> tuple[DecisionView, ...]:
        """Return what a supplier's policy decided, newest first.

        Args:
            name: ``handle.name`` of a dataset, another's or our own: decisions under all
                agreements on it that we are a side of. Or an agreement's id or the end of it.

        Raises:
            NotFoundError: We have no such agreement.
        """
        found = self.haggling.agreements_on(name)
        if not found:
            raise NotFoundError(
                ko=f"{name}에 대한 합의가 없습니다. `databank agreements`로 확인하세요.",
                en=f"There is no agreement on {name}. See `databank agreements`.",
            )
        decided: list[DecisionView] = []
        for agreement in found:
            answer = self.management.get(
                f"/management/agreements/{agreement.agreement_id}/decisions"
            )
            decided += map(DecisionView.model_validate, answer["decisions"])
        return tuple(sorted(decided, key=lambda one: one.decision_id, reverse=True))

    def balance(self) -> Balance:
        """Return our 잔액."""
        return Balance.model_validate(self.management.get("/management/balance"))

    def passbook(
        self, *, cursor: str | None = None, limit: int = 50, period: str | None = None
    ) -> Passbook:
        """Return our 통장, oldest first: all of it or one month."""
        answer = self.management.get(
            "/management/passbook", cursor=cursor, limit=limit, period=period
        )
        return Passbook.model_validate(answer)

    def statement(self, period: str, *, number: int | None = None) -> Statement:
        """Return our 명세서 of a month, such as ``2026-11``: the latest, or one by its number."""
        path = f"/management/statements/{period}"
        return Statement.model_validate(self.management.get(path, number=number))

    def statements(self, period: str) -> list[Statement]:
        """Return all our statements of a month, in order; later ones supplement the first."""
        latest = self.statement(period)
        earlier = (self.statement(period, number=n) for n in range(1, latest.number))
        return [*earlier, latest]

    def bundle(self, period: str, *, number: int | None = None) -> bytes:
        """Return 증빙 자료: our statement with all that it follows from (`schemas.bundle`)."""
        params = {} if number is None else {"number": str(number)}
        path = f"/management/statements/{period}/bundle"
        return self._file(path, params)

    def statement_pdf(self, period: str, *, number: int | None = None) -> bytes:
        """Return our 명세서 of a month as PDF."""
        params = {} if number is None else {"number": str(number)}
        return self._file(f"/management/statements/{period}/pdf", params)

    def passbook_file(self, form: Literal["csv", "pdf"], *, period: str | None = None) -> bytes:
        """Return our 통장 as a file, all of it or one month."""
        return self._file(f"/management/passbook/{form}", {"period": period} if period else {})

    def invoice_ubl(self, period: str, invoice_id: str) -> bytes:
        """Return one of our invoices as UBL 2.1."""
        return self._file(f"/management/invoices/{period}/{quote(invoice_id, safe='')}/ubl", {})

    def _file(self, path: str, params: dict[str, str]) -> bytes:
        return expect_success(self.management.send_repeatedly("GET", path, params=params)).content

    def comparison(self, name: str, period: str) -> Comparison:
        """Return a month of an agreement as supplier and buyer have each signed it.

        Args:
            name: ``handle.name`` of a dataset that we use, or the id of any agreement of ours.
            period: The month in Seoul, such as ``2026-11``.
        """
        id_ = AgreementId(name) if name.startswith("urn:") else self._agreement_for(name)
        path = f"/management/agreements/{id_}/comparison"
        return Comparison.model_validate(self.management.get(path, period=period))

    def disputes(self) -> DisputeList:
        """Return our disputes, the newest first."""
        return DisputeList.model_validate(self.management.get("/management/disputes"))

    def dispute(self, dispute_id: str) -> DisputeView:
        """Return a dispute of ours with all that both sides and the operator said."""
        path = f"/management/disputes/{quote(dispute_id, safe='')}"
        return DisputeView.model_validate(self.management.get(path))

    def open_dispute(
        self,
        name: str,
        period: str,
        reason: DisputeReason,
        text: str,
        *,
        amount_won: int | None = None,
        files: tuple[str, ...] = (),
    ) -> DisputeView:
        """Contest a stated month of an agreement; the same again opens nothing more.

        Args:
            name: ``handle.name`` of a dataset that we use, or the id of any agreement of ours.
            period: The month in Seoul, such as ``2026-11``.
            reason: What is contested.
            text: Why.
            amount_won: How much of the supply; without it, all that the reason allows.
            files: SHA-256 of evidence that we keep.
        """
        id_ = AgreementId(name) if name.startswith("urn:") else self._agreement_for(name)
        wish = OpenRequest(
            agreement_id=id_,
            period=period,
            reason=reason,
            text=text,
            amount_won=amount_won,
            files=files,
        )
        answer = self.management.repeat("POST", "/management/disputes", json=wish.to_json())
        return DisputeView.model_validate(answer)

    def move_dispute(self, dispute_id: str, what: str, body: Mapping[str, object]) -> DisputeView:
        """Add ``evidence``, ``proposals``, ``acceptance`` or ``withdrawal`` (`schemas.dispute`)."""
        path = f"/management/disputes/{quote(dispute_id, safe='')}/{what}"
        return DisputeView.model_validate(self.management.repeat("POST", path, json=body))

    def witness(self) -> WitnessView:
        """Return what our connector has seen of clearing's log."""
        return WitnessView.model_validate(self.management.get("/management/witness"))

    def _agreement_for(self, ref: str) -> AgreementId:
        parsed = Ref.parse(ref)
        found = self._suppliers.held(parsed)
        return (
            found.agreement_id
            if found is not None and found.agreement_id is not None
            else self._suppliers.dataset(parsed).agreement_id
        )

    def _prepare(self, sql: str, *, auto_agree: bool) -> tuple[Plan, dict[Ref, Dataset]]:
        from databank.client.answer import check_plan  # noqa: PLC0415 - DuckDB loads slowly
        from databank.client.plan import find_refs, make_plan  # noqa: PLC0415 - sqlglot too

        refs = find_refs(sql)
        if auto_agree:
            self._agree_to_free(refs)
        datasets = {ref: self._suppliers.dataset(ref) for ref in refs}
        schemas = {ref: dataset.schema for ref, dataset in datasets.items()}
        columns = {ref: [c.name for c in schema.columns] for ref, schema in schemas.items()}
        plan = make_plan(sql, columns)
        check_plan(sql, plan, schemas)
        return plan, datasets

    def _agree_to_free(self, refs: tuple[Ref, ...]) -> None:
        for ref in refs:
            found = self.show(str(ref))
            if found.agreement_id is None and found.listing.plan.is_free:
                self._suppliers.agree(found.listing)

    def _quote(self, plan: Plan, datasets: dict[Ref, Dataset]) -> Cost:
        lines = (self._suppliers.price(p.ref, datasets[p.ref], p.sql) for p in plan.parts)
        return Cost(tuple(lines), is_charged=False)
