"""Killing the clearing service with SIGKILL at every point of its work, again and again.

A process that loads the services once forks workers. Each works through the same requests from
where the last receipt was seen, as a sender does that repeats what it got no answer to, and is
killed at its n-th statement, commit, rename or answer. What is left in the end is compared with
the work of a worker that nobody killed.

Usage: python -m tests.support.kills PLAN.json, where the plan says folder, url, kills and seed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, NoReturn

from sqlalchemy import event, text

from clearing.attestation.service import compared
from clearing.bank.service import take_report
from clearing.billing.service import tell
from clearing.bundle.verify import BadBundleError, verify_bundle
from clearing.closing.service import advance, state
from clearing.disputes import service as disputes
from clearing.disputes.model import Terms
from clearing.disputes.refusals import DisputeStateError, NothingToDisputeError
from clearing.ledger.model import OPERATOR
from clearing.log.service import Log
from clearing.metering.commit import Committer
from clearing.metering.service import read
from clearing.payout.service import (
    ApprovalRefusedError,
    PayoutStateError,
    all_payouts,
    approve,
    draft,
)
from databank.kit.clock import new_secret
from databank.kit.db import Database
from schemas.bank import AgreementRecord
from schemas.billing import BankAccount, BillingProfile
from schemas.dispute import (
    DisputeReason,
    DisputeStatus,
    DisputeView,
    EvidenceRequest,
    MoveKind,
    OpenRequest,
)
from schemas.ids import ParticipantId, did_web
from schemas.issuer import Issuer
from schemas.payout import ApprovalRequest, sign_approval
from schemas.shares import Basis
from schemas.signature import SigningKey
from schemas.token import Claims
from tests.support.bank import NOON, OFFICERS, Company, Meter, agreement, company, plan
from tests.support.camt import Moved, camt
from tests.support.ledger import Ledger
from tests.support.migrated import with_tables
from tests.support.splits import request, told_edge

DECEMBER: Final = datetime(2026, 12, 2, tzinfo=UTC)
MONTHS: Final = {"2026-11": NOON, "2026-12": DECEMBER}
POINTS_MAX: Final = 60  # a worker is killed at one of so many points; a request has 15 to 40
KINDS: Final = {"": 4, "before commit": 2, "before answer": 2, "os.rename": 1}  # how often
ISSUER: Final = Issuer("산업데이터은행", "1000000009", "https://clearing.example")
Step = Callable[[Ledger, Committer], None]


@dataclass
class Killer:
    """Kills its process at the n-th point, or the n-th of one kind; never if n is 0."""

    left: int
    only: str = ""
    seen: Counter[str] = field(default_factory=Counter)

    def pass_by(self, kind: str) -> None:
        """Come to a point of the kind."""
        self.seen[kind] += 1
        self.left -= self.only in ("", kind)
        if self.left == 0:
            os.write(3, f"killed {kind}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, database: Database) -> None:
        """Make every statement, commit and rename a point."""
        engine = database.engine
        event.listen(engine, "before_cursor_execute", lambda *_: self.pass_by("before statement"))
        event.listen(engine, "after_cursor_execute", lambda *_: self.pass_by("after statement"))
        event.listen(engine, "commit", lambda *_: self.pass_by("before commit"))
        sys.addaudithook(lambda name, _: self.pass_by(name) if name == "os.rename" else None)


@dataclass(frozen=True)
class World:
    """Who takes part; the same in every process, since keys are in it."""

    suppliers: tuple[Company, ...]
    buyers: tuple[Company, ...]
    log_key: SigningKey
    officers: Mapping[str, SigningKey]

    @property
    def deals(self) -> list[tuple[Company, Company, AgreementRecord]]:
        """Each supplier with each buyer, at odd prices."""
        tariffs = (plan(per_row=0.37), plan(per_query=0.7, monthly=99.9), plan(), plan(one_off=5))
        pairs = [(s, b) for s in self.suppliers for b in self.buyers]
        return [
            (s, b, agreement(s, b, tariff, name=str(n)))
            for n, ((s, b), tariff) in enumerate(zip(pairs, tariffs, strict=True))
        ] + [self.product]

    @property
    def product(self) -> tuple[Company, Company, AgreementRecord]:
        """What the curator makes of steel's data, sold to the buyer."""
        buyer, curator = self.buyers
        return curator, buyer, agreement(curator, buyer, plan(per_row=0.31), name="product")


def make_world() -> World:
    """Make the companies and the key of the log."""
    suppliers = (company("steel", "광양제철"), company("carbon", "탄소"))
    buyers = (company("buyer", "구매사"), company("curator", "큐레이터"))
    return World(suppliers, buyers, company("clearing", "청산소").key, dict(OFFICERS))


def steps_of(world: World, *, rounds: int) -> list[Step]:
    """Return the requests of all senders, in an order of time."""
    random = Random(20261124)
    steps: list[Step] = []
    for supplier, buyer, told in world.deals:
        steps += [_agree(told, who) for who in (supplier, buyer)]
    steps += [_tell_account(id_) for id_ in (did_web(ISSUER.url), *(s.id for s in world.suppliers))]
    steps.append(_share(world))
    sellers = (*world.suppliers, world.product[0])
    meters = {seller.id: Meter(seller) for seller in sellers}
    for number in range(rounds):
        buyer = world.buyers[number % 2]
        if number % 5 == 0:
            steps.append(_deposit(buyer, 40, f"d{number}"))
        supplier = random.choice(sellers)
        meter, deals = meters[supplier.id], [d for d in world.deals if d[0] is supplier]
        records = [
            meter.record(
                random.choice(deals)[2],
                rows=random.randrange(99),
                at=random.choice((NOON, DECEMBER)),
            )
            for _ in range(random.randrange(1, 6))
        ]
        steps.append(_send(supplier, meter.batch(records)))
        if number % 3 == 2:
            steps.append(random.choice((_issue, _close))(random.choice(sorted(MONTHS))))
            steps.append(_publish)
            steps += _contest(random.choice(world.deals), random.choice(sorted(MONTHS)))
        if number % 6 == 5:
            steps += _pay(world)
    return [*steps, *(_close(period) for period in MONTHS), *_pay(world), _publish]


def _agree(told: AgreementRecord, who: Company) -> Step:
    return lambda ledger, _: ledger.agree(told, who)


def _deposit(who: Company, amount: int, deposit_id: str) -> Step:
    return lambda ledger, _: ledger.deposit(who, amount, deposit_id=deposit_id)


def _share(world: World) -> Step:
    """Let the curator promise steel a part of what its product takes in."""
    curator, _, sold = world.product
    under = world.deals[1][2]
    assert under.consumer_id == curator.id
    plan = request(sold, told_edge(under, Basis.PCT_OF_GROSS, 123_457))

    def act(ledger: Ledger, _: Committer) -> None:
        ledger.share(curator, plan)

    return act


def _contest(deal: tuple[Company, Company, AgreementRecord], period: str) -> list[Step]:
    """Open a dispute about a month, hear the supplier, and decide on the half."""
    supplier, buyer, told = deal
    wish = OpenRequest(
        agreement_id=told.agreement_id, period=period, reason=DisputeReason.QUALITY, text="틀림"
    )
    refused = (DisputeStateError, NothingToDisputeError)

    def opening(ledger: Ledger, _: Committer) -> None:
        reading, now = ledger.database.unit_of_work, DECEMBER
        with reading() as uow:
            held = disputes.agreement_of(uow, told.agreement_id, buyer.id)
        counts = compared(reading, held, period, silence=timedelta(hours=72), now=now)
        found = disputes.Found(held, period, counts)
        with suppress(*refused), reading() as uow:
            disputes.open_dispute(uow, found, wish, buyer.id, ledger.log, terms=Terms(), now=now)

    def hearing(ledger: Ledger, _: Committer) -> None:
        for each in _running(ledger):
            with suppress(*refused), ledger.database.unit_of_work() as uow:
                evidence = EvidenceRequest(text="맞음")
                id_ = each.dispute_id
                disputes.add_evidence(uow, id_, supplier.id, evidence, ledger.log, now=DECEMBER)

    def deciding(ledger: Ledger, _: Committer) -> None:
        for each in _running(ledger):
            half = (each.claimed_won + 1) // 2
            said = disputes.Said(MoveKind.DECIDED, OPERATOR, "반", half)
            with suppress(*refused), ledger.database.unit_of_work() as uow:
                disputes.move(uow, each.dispute_id, said, ledger.log, now=DECEMBER)

    def _running(ledger: Ledger) -> list[DisputeView]:
        with ledger.database.unit_of_work() as uow:
            found = disputes.all_disputes(uow, supplier.id).disputes
        about = (told.agreement_id, period)
        running = (DisputeStatus.OPEN, DisputeStatus.EVIDENCE)
        return [d for d in found if (d.agreement_id, d.period) == about and d.status in running]

    return [opening, hearing, deciding]


def _issue(period: str) -> Step:
    def act(ledger: Ledger, _: Committer) -> None:
        with ledger.database.unit_of_work() as uow:
            state(uow, period, ledger.log, now=DECEMBER)

    return act


def _close(period: str) -> Step:
    def act(ledger: Ledger, _: Committer) -> None:
        is_going = True
        while is_going:
            with ledger.database.unit_of_work() as uow:
                is_going = advance(uow, period, ledger.log, now=DECEMBER)

    return act


def _pay(world: World) -> list[Step]:
    """Draft a payout, approve it twice, and let the bank report what it paid.

    Whoever repeats a request is told that it was done; the books must not notice.
    """

    def drafting(ledger: Ledger, _: Committer) -> None:
        with suppress(PayoutStateError), ledger.database.unit_of_work() as uow:
            draft(uow, ISSUER, now=DECEMBER)

    def approving(officer: str) -> Step:
        def act(ledger: Ledger, _: Committer) -> None:
            with ledger.database.unit_of_work() as uow:
                payouts = all_payouts(uow).payouts
            for payout in payouts[-1:]:
                key = world.officers[officer]
                approval = sign_approval(payout.payout_id, payout.sha256, key)
                request = ApprovalRequest(officer=officer, approval=approval)
                keys = {name: each.public.jwk["x"] for name, each in world.officers.items()}
                refused = suppress(PayoutStateError, ApprovalRefusedError)
                with refused, ledger.database.unit_of_work() as uow:
                    approve(uow, payout.payout_id, request, keys, now=DECEMBER)

        return act

    def reporting(ledger: Ledger, _: Committer) -> None:
        with ledger.database.unit_of_work() as uow:
            payments = [each for payout in all_payouts(uow).payouts for each in payout.payments]
        moved = [
            Moved(f"B-{each.end_to_end_id}", str(each.amount_won), end_to_end_id=each.end_to_end_id)
            for each in payments
        ]
        if moved:
            with ledger.database.unit_of_work() as uow:
                take_report(uow, camt(*moved), now=DECEMBER)

    return [drafting, *(approving(name) for name in sorted(world.officers)), reporting]


def _tell_account(who: ParticipantId) -> Step:
    account = BankAccount(bank="004", number="1234567890", holder="회사")

    def act(ledger: Ledger, _: Committer) -> None:
        with ledger.database.unit_of_work() as uow:
            tell(uow, who, BillingProfile(account=account), now=DECEMBER)

    return act


def _publish(ledger: Ledger, _: Committer) -> None:
    with ledger.database.unit_of_work() as uow:
        ledger.log.publish(uow, now=DECEMBER)


def _send(who: Company, batch: tuple[str, bytes]) -> Step:
    def act(_: Ledger, committer: Committer) -> None:
        checked = read(*batch, who.participant, now=DECEMBER)
        token = Claims(issuer=who.id, jti=new_secret(), expires_at=DECEMBER, access_token=None)
        committer.book(checked, token)

    return act


def open_books(world: World, folder: Path, url: str, *, killer: Killer | None = None) -> Ledger:
    """Open a database that was migrated, and its log."""
    database = Database(url)
    if killer is not None:
        killer.watch(database)
    log = Log(
        world.log_key,
        origin="clearing.example/log",
        memory=folder / "log-checkpoint",
        make_nonce=new_secret,
    )
    with database.unit_of_work() as uow:
        log.open(uow)
    return Ledger(database, log)


def _work(
    world: World, place: tuple[Path, str], steps: list[Step], at: int, killer: Killer
) -> NoReturn:
    """Do the steps from ``at`` on; tell each that is done, then end."""
    try:
        ledger = open_books(world, *place, killer=killer)
        committer = Committer(ledger.database, ledger.log, clock=lambda: DECEMBER)
        for number in range(at, len(steps)):
            steps[number](ledger, committer)
            killer.pass_by("before answer")  # committed, and nobody knows
            os.write(3, f"done {number}\n".encode())
        os.write(3, b"finished\n")
    except BaseException as error:  # noqa: BLE001 - a fault is a finding, told to the parent
        os.write(3, f"failed {type(error).__name__}: {error}\n".encode())
    os._exit(0)


def _told(
    world: World, place: tuple[Path, str], steps: list[Step], at: int, killer: Killer
) -> Iterator[str]:
    """Fork a worker and give what it tells until it ends."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        if writer != 3:
            os.dup2(writer, 3)
        _work(world, place, steps, at, killer)
    os.close(writer)
    with os.fdopen(reader) as lines:
        yield from (line.rstrip("\n") for line in lines)
    os.waitpid(child, 0)


def campaign(world: World, place: tuple[Path, str], *, kills: int, seed: int) -> dict[str, Any]:
    """Kill workers until ``kills`` have died and the steps are done; return what happened."""
    random, died = Random(seed), Counter[str]()
    steps = steps_of(world, rounds=rounds_for(kills))
    at, failures = 0, list[str]()
    while at < len(steps) and not failures:
        killer = _draw(random) if sum(died.values()) < kills else Killer(0)
        for line in _told(world, place, steps, at, killer):
            kind, _, rest = line.partition(" ")
            if kind == "done":
                at = int(rest) + 1
            elif kind == "killed":
                died[rest] += 1
            elif kind == "failed":
                failures.append(rest)
    return {"kills": sum(died.values()), "points": died, "failures": failures, "steps": len(steps)}


def _draw(random: Random) -> Killer:
    """Choose where to kill: anywhere, or at a point of one of the rarer kinds."""
    (kind,) = random.choices(list(KINDS), list(KINDS.values()))
    last = {"": POINTS_MAX, "os.rename": 1}.get(kind, 2)
    return Killer(random.randint(1, last), kind)


def rounds_for(kills: int) -> int:
    """Return how many rounds of requests so many kills need."""
    return max(6, kills * 3 // 4)


def undisturbed(world: World, place: tuple[Path, str], *, kills: int) -> Ledger:
    """Do the same steps with nobody killed; return the books."""
    ledger = open_books(world, *place)
    committer = Committer(ledger.database, ledger.log, clock=lambda: DECEMBER)
    for step in steps_of(world, rounds=rounds_for(kills)):
        step(ledger, committer)
    return ledger


COMPARED: Final = {
    "clearing_account": "*",
    "clearing_entry": "*",
    "clearing_posting": "entry_id, leg, account_id, side, phase, amount, balance_after",
    "clearing_meter": "*",
    "clearing_period_usage": "*",
    "clearing_stream": "*",
    "clearing_batch": "provider_id, epoch, first_seq, records_count, body_sha256, header, body",
    "clearing_batch_agreement": "agreement_id, provider_id, epoch, first_seq, entry_id",
    "clearing_evidence": "*",
    "clearing_statement": "statement_id, participant_id, number, document, issued_at",
    "clearing_statement_line": "agreement_id, period, acts, supply_micro, supply_won, fee_won",
    "clearing_close": "*",
    "clearing_close_step": "*",
    "clearing_billing": "*",
    "clearing_payout": "*",
    "clearing_payment": "*",
    "clearing_payout_event": "payout_id, number, kind, said, recorded_at",
    "clearing_bank_movement": "reference, is_credit, amount, end_to_end_id, outcome",
    "clearing_split_plan": "curator_id, product_id, number, from_period",  # its hash is salted
    "clearing_royalty_line": "party_id, period, income_id, supply_micro, supply_won, cash_entry_id",
    "clearing_dispute": "*",
    "clearing_dispute_move": "dispute_id, number, is_end, recorded_at",
    "clearing_credit": "*",
    "clearing_credit_stated": "*",
    "clearing_log_head": "*",
}


def differences(killed: Ledger, calm: Ledger) -> list[str]:
    """Return which tables hold other rows, and how many they hold."""
    found = []
    with killed.database.unit_of_work() as left, calm.database.unit_of_work() as right:
        for table, columns in COMPARED.items():
            query = text(f"SELECT {columns} FROM {table}")
            ours, theirs = (sorted(map(repr, uow.run(query))) for uow in (left, right))
            if ours != theirs:
                found.append(f"{table}: {len(ours)} and {len(theirs)} rows differ")
    return found


def count(ledger: Ledger, table: str, where: str = "1 = 1") -> int:
    """Return how many rows a table has, or how many of them there are of a kind."""
    with ledger.database.unit_of_work() as uow:
        return int(uow.run(text(f"SELECT count(*) FROM {table} WHERE {where}")).scalar_one())


def unproven(ledger: Ledger, world: World) -> tuple[int, list[str]]:
    """Check the last statement of each party and month, which follows from all before it.

    Returns:
        How many statements there are, and which do not hold.
    """
    people = {each.id: each for each in (*world.suppliers, *world.buyers)}
    count, wrong = 0, []
    for period in MONTHS:
        statements = ledger.issue(period, now=DECEMBER).statements
        count += len(statements)
        for who in {people[statement.participant_id].id for statement in statements}:
            try:
                verify_bundle(ledger.bundle(people[who], period))
            except BadBundleError as error:
                wrong.append(f"{period} of {who}: {error}")
    return count, wrong


def main(plan_file: str) -> None:
    """Run a campaign and print what came of it."""
    told = json.loads(Path(plan_file).read_text(encoding="utf-8"))
    world, folder, kills = make_world(), Path(told["folder"]), told["kills"]
    places = [(folder / name, told[name]) for name in ("killed", "calm")]
    for place, url in places:
        place.mkdir()
        with_tables("clearing", url)
    result = campaign(world, places[0], kills=kills, seed=told["seed"])
    if not result["failures"]:
        killed, calm = open_books(world, *places[0]), undisturbed(world, places[1], kills=kills)
        result["differences"] = differences(killed, calm)
        result["rows"] = {table: count(killed, table) for table in COMPARED}
        result["taken_back"] = count(killed, "clearing_royalty_line", "supply_micro < 0")
        result["statements"], result["unproven"] = unproven(killed, world)
        for ledger in (killed, calm):
            ledger.database.close()
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
