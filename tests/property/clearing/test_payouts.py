"""Whatever is bought, closed, paid out, paid and returned: no won appears or is lost (I12)."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from clearing.bank.service import take_report
from clearing.billing.service import tell
from clearing.closing.service import close
from clearing.ledger.model import Code
from clearing.payout.model import Owed, Payable, less_given_back, waiting_of, withheld_of
from clearing.payout.service import PayoutStateError, all_payouts, approve, draft
from clearing.returns.service import decide
from schemas.billing import BankAccount, BillingProfile
from schemas.ids import ParticipantId, did_web
from schemas.issuer import Issuer
from schemas.payout import (
    ApprovalRequest,
    FeeBearer,
    FeeDecision,
    PaymentStatus,
    PayoutPayment,
    PayoutView,
    sign_approval,
    sign_fee_decision,
)
from tests.support.bank import NOON, OFFICERS, Company, Meter, agreement, company, plan
from tests.support.camt import Moved, camt, rejection
from tests.support.ledger import Ledger, open_ledger

PERIOD = "2026-11"
ISSUER = Issuer("산업데이터은행", "1000000009", "https://clearing.example")
PEOPLE = [company("steel", "광양제철"), company("carbon", "탄소"), company("buyer", "구매사")]
DEALS = [
    agreement(seller, buyer, plan(per_row=0.37, per_query=3), name=f"{n}{m}")
    for n, seller in enumerate(PEOPLE[:2])
    for m, buyer in enumerate(PEOPLE)
    if seller is not buyer
]
KEYS = {name: key.public.jwk["x"] for name, key in OFFICERS.items()}

acts = st.one_of(
    st.tuples(st.just("deposit"), st.integers(0, 2), st.integers(1, 20_000)),
    st.tuples(st.just("use"), st.integers(0, len(DEALS) - 1), st.integers(0, 30_000)),
    st.tuples(st.just("close"), st.just(0), st.just(0)),
    st.tuples(st.just("payout"), st.just(0), st.just(0)),
    st.tuples(st.just("bank"), st.integers(0, 1), st.integers(0, 3)),
    st.tuples(st.just("came_back"), st.integers(0, 2_000), st.integers(0, 3)),
    st.tuples(st.just("reject"), st.just(0), st.integers(0, 3)),
    st.tuples(st.just("bear"), st.integers(0, 1), st.integers(0, 3)),
)


def is_open(payment: PayoutPayment) -> bool:
    """Whether nobody bears yet what a bank kept of a payment."""
    back = payment.came_back
    return back is not None and back.fee_won > 0 and back.bearer is None


class Month:
    """Books with what somebody outside knows of them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.meters = {each.id: Meter(each) for each in PEOPLE}
        self.paid_in = self.paid_out = self.written_off = self.count = 0
        for told in DEALS:
            ledger.agree(told, *(p for p in PEOPLE if p.id in {told.provider_id, told.consumer_id}))
        for number, id_ in enumerate([did_web(ISSUER.url), *(each.id for each in PEOPLE)]):
            account = BankAccount(bank="004", number=f"1234567890{number}", holder="회사")
            with ledger.database.unit_of_work() as uow:
                tell(uow, id_, BillingProfile(account=account), now=NOON)

    def cash(self, *codes: Code) -> int:
        """Return the credit balances of all accounts of these codes, in won."""
        query = text("SELECT code, SUM(credits_posted - debits_posted) AS won FROM clearing_account"
                     " WHERE book = 'cash' GROUP BY code")  # fmt: skip
        with self.ledger.database.unit_of_work() as uow:
            found = {str(row.code): int(row.won) for row in uow.run(query)}
        return sum(found.get(code.value, 0) for code in codes or Code)

    def deposit(self, who: int, amount: int) -> None:
        self.ledger.deposit(PEOPLE[who], amount)
        self.paid_in += amount

    def use(self, deal: int, rows: int) -> None:
        told = DEALS[deal]
        seller: Company = next(p for p in PEOPLE if p.id == told.provider_id)
        meter = self.meters[seller.id]
        self.ledger.send(seller, meter.batch([meter.record(told, rows=rows, at=NOON)]))

    def close(self, _: int, __: int) -> None:
        close(self.ledger.database, PERIOD, self.ledger.log, clock=lambda: NOON)

    def meanwhile(self, first: int, second: int) -> None:
        """Let happen what may between two approvals."""

    def payout(self, first: int, second: int) -> None:
        """Draft and release; what is released is what payables lose."""
        payable = (Code.EARNED, Code.VAT_OUT, Code.DISPUTE_HOLD)
        before = self.cash(*payable)
        try:
            with self.ledger.database.unit_of_work() as uow:
                view = draft(uow, ISSUER, now=NOON, again=[each.id for each in PEOPLE])
        except PayoutStateError:
            return
        for officer in ("kim", "lee"):
            approval = sign_approval(view.payout_id, view.sha256, OFFICERS[officer])
            request = ApprovalRequest(officer=officer, approval=approval)
            with self.ledger.database.unit_of_work() as uow:
                view = approve(uow, view.payout_id, request, KEYS, now=NOON)
            if officer == "kim":
                self.meanwhile(first, second)
        assert view.status == "released"
        assert before - self.cash(*payable) == view.total_won > 0
        assert view.total_won == sum(each.amount_won for each in view.payments)

    def bank(self, is_return: int, place: int) -> None:
        """Let the bank pay or return one payment, and say so twice."""
        status = PaymentStatus.PAID if is_return else PaymentStatus.IN_TRANSIT
        if (payment := self.payment(status, place)) is not None:
            self.move(payment, payment.amount_won, is_credit=bool(is_return))

    def came_back(self, fee: int, place: int) -> None:
        """Let a payment come back less a fee, if there is more of it than that."""
        payment = self.payment(PaymentStatus.PAID, place)
        if payment is not None and payment.amount_won > fee:
            self.move(payment, payment.amount_won - fee, is_credit=True)

    def move(self, payment: PayoutPayment, amount: int, *, is_credit: bool) -> None:
        self.count += 1
        moved = Moved(f"B{self.count}", str(amount), is_credit, payment.end_to_end_id,
                      reason="AC04" if is_credit else "")  # fmt: skip
        self.report(camt(moved))
        self.paid_out += -amount if is_credit else amount

    def reject(self, _: int, place: int) -> None:
        """Let the bank reject a payment, and say so twice."""
        if (payment := self.payment(PaymentStatus.IN_TRANSIT, place)) is not None:
            payout_id = payment.end_to_end_id.partition("-")[0]
            self.report(rejection(payout_id, (payment.end_to_end_id, "AC01")))

    def report(self, content: bytes) -> None:
        for _ in range(2):
            with self.ledger.database.unit_of_work() as uow:
                take_report(uow, content, now=NOON)

    def bear(self, who: int, place: int) -> None:
        """Let two officers say who bears a fee."""
        found = [each for view in self.views() for each in view.payments if is_open(each)]
        if not found:
            return
        payment, bearer = found[place % len(found)], list(FeeBearer)[who]
        assert payment.came_back is not None
        fee, id_ = payment.came_back.fee_won, payment.end_to_end_id
        self.written_off += fee if bearer is FeeBearer.OPERATOR else 0
        for officer in ("kim", "lee"):
            word = sign_fee_decision(id_, fee, bearer, OFFICERS[officer])
            told = FeeDecision(officer=officer, bearer=bearer, approval=word)
            with self.ledger.database.unit_of_work() as uow:
                decide(uow, id_, told, KEYS, now=NOON)

    def payment(self, status: PaymentStatus, place: int) -> PayoutPayment | None:
        """Return one of the payments that stand so."""
        found = [each for view in self.views() for each in view.payments if each.status == status]
        return found[place % len(found)] if found else None

    def views(self) -> tuple[PayoutView, ...]:
        with self.ledger.database.unit_of_work() as uow:
            return all_payouts(uow).payouts

    def check(self) -> None:
        """Money at the bank is what came in less what went out, and covers what is on its way."""
        assert self.cash() == 0
        at_bank = -self.cash(Code.BANK)
        assert at_bank == self.paid_in - self.paid_out
        in_transit = sum(
            each.amount_won
            for view in self.views()
            for each in view.payments
            if each.status == PaymentStatus.IN_TRANSIT
        )
        assert in_transit == self.cash(Code.IN_TRANSIT)
        fees = [p.came_back for view in self.views() for p in view.payments if is_open(p)]
        assert -self.cash(Code.RETURN_FEE) == sum(each.fee_won for each in fees if each)
        # nobody is paid with money of others: but for fees that the operator bears, all is covered
        covered = at_bank - in_transit + self.recoverable() + self.written_off
        assert covered >= self.cash(Code.DEPOSIT) + max(0, self.fees())

    def recoverable(self) -> int:
        """Return what was refunded to buyers after it was paid out, and is not set off yet."""
        return -self.cash(Code.RECOVERABLE)

    def fees(self) -> int:
        """Return the operator's income without its VAT."""
        if self.cash(Code.RECEIVABLE) != 0:
            return 0
        return self.cash(Code.FEE_INCOME) + self.written_off


PAID: list[tuple[str, int, int]] = [
    ("deposit", 2, 20_000),
    ("use", 1, 9_999),
    ("use", 0, 500),
    ("close", 0, 0),
    ("payout", 0, 0),
    ("bank", 0, 0),
    ("bank", 1, 0),
    ("payout", 0, 0),
    ("bank", 0, 0),
]
BACK: list[tuple[str, int, int]] = [
    ("deposit", 2, 20_000), ("use", 1, 9_999), ("close", 0, 0), ("payout", 0, 0), ("reject", 0, 0),
    ("payout", 0, 0), ("bank", 0, 0), ("came_back", 500, 0), ("payout", 0, 0), ("bear", 0, 0),
    ("bank", 0, 0), ("came_back", 300, 0), ("bear", 1, 0), ("payout", 0, 0), ("bank", 0, 0),
]  # fmt: skip
OWING: list[tuple[str, int, int]] = [
    ("deposit", 2, 1_000), ("use", 1, 20_000), ("use", 3, 100), ("close", 0, 0), ("payout", 0, 0),
    ("deposit", 2, 20_000), ("payout", 0, 0), ("bank", 0, 1), ("bank", 0, 0),
]  # fmt: skip


@settings(max_examples=25, deadline=None)
@example(PAID)
@example(OWING)
@example(BACK)
@given(st.lists(acts, min_size=4, max_size=14))
def test_payouts_pay_exactly_what_was_earned_and_collected(
    history: list[tuple[str, int, int]],
) -> None:
    with open_ledger() as ledger:
        month = Month(ledger)
        for name, first, second in history:
            getattr(month, name)(first, second)
            month.check()


ids = st.sampled_from([ParticipantId(name) for name in "abc"])
owed = st.builds(Owed, ids, st.integers(1, 1_000), st.integers(0, 1_000))


@given(
    st.dictionaries(ids, st.integers(0, 5_000)),
    st.dictionaries(ids, st.lists(owed, max_size=6)),
)
def test_suppliers_never_wait_for_more_than_is_owed_or_was_earned(
    receivables: dict[ParticipantId, int], sales: dict[ParticipantId, list[Owed]]
) -> None:
    waiting = withheld_of(receivables, sales)
    assert sum(waiting.values()) <= sum(receivables.values())
    for who, amount in waiting.items():
        assert 0 <= amount <= sum(s.earned_won for v in sales.values() for s in v
                                  if s.provider_id == who)  # fmt: skip
        payable = Payable(who, earned=amount, vat=7, withheld=amount)
        assert payable.amount == sum(payable.parts) == 7


chain = [ParticipantId(name) for name in ("buyer", *"abcdef")]
sold = st.tuples(st.integers(1, 6), st.integers(1, 1_000), st.integers(0, 1_000))
shared = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(-500, 500))  # or given back


@given(
    sales=st.lists(sold, max_size=8),
    royalties=st.lists(shared, max_size=12),
    is_acyclic=st.booleans(),
)
def test_all_that_is_collected_is_payable_along_royalties_and_not_a_won_more(
    *, sales: list[tuple[int, int, int]], royalties: list[tuple[int, int, int]], is_acyclic: bool
) -> None:
    """No more is given back of a royalty than was taken."""
    buyer, receivable = chain[0], 0
    balances = dict.fromkeys(chain[1:], 0)
    owed: list[Owed] = []
    for who, price, paid in sales:
        balances[chain[who]] += price
        unpaid = max(0, price - paid)
        receivable += unpaid
        if unpaid:
            owed.insert(0, Owed(chain[who], unpaid, price))
    shares: dict[ParticipantId, list[Owed]] = {id_: [] for id_ in chain}
    for payer, payee, wanted in royalties:
        if payer == payee or (is_acyclic and payer > payee):
            continue
        so_far = sum(o.owed_won for o in shares[chain[payer]] if o.provider_id == chain[payee])
        amount = max(wanted, -so_far)
        balances[chain[payer]] -= amount
        balances[chain[payee]] += amount
        shares[chain[payer]].insert(0, Owed(chain[payee], amount, amount))
    waiting = waiting_of(
        {buyer: receivable}, {buyer: owed}, balances, lambda id_: less_given_back(shares[id_])
    )
    payable = sum(
        Payable(id_, earned=balances[id_], vat=0, withheld=waiting.get(id_, 0)).amount
        for id_ in balances
    )
    assert min(waiting.values(), default=0) >= 0
    collected = sum(price for _, price, _ in sales) - receivable
    assert payable <= collected
    if is_acyclic:
        assert payable == collected
