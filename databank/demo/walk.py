"""The walk: join, publish, find, agree, use, pay; every step over HTTP, every sum checked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, Final

from clearing.bundle.verify import BadBundleError, verify_bundle
from databank.cli.serving import wait_for_interrupt
from databank.cli.surface import Surface
from databank.client.api import open_http
from databank.client.cost import Cost, CostLine
from databank.client.publisher import publish, upload
from databank.client.session import Session
from databank.demo.cast import Cast, wait_for
from databank.demo.check import find_faults, totals_of
from databank.demo.gauge import Gauge
from databank.demo.month import MonthEnd, make_officers
from databank.demo.real import real_story
from databank.demo.story import (
    FIRST_DEPOSIT_WON,
    SECOND_DEPOSIT_WON,
    Company,
    Offering,
    Story,
    generated_story,
)
from databank.kit.clock import system_clock
from databank.kit.http import RemoteRefusedError
from databank.kit.logs import configure_logs
from databank.up import Bank
from schemas.bank import Statement
from schemas.ids import format_brn
from schemas.management import BadCell, PublishRequest
from schemas.money import format_won, in_won
from schemas.participant import Participant
from schemas.price import price_sentence
from schemas.signature import SigningKey

SEOUL: Final = timezone(timedelta(hours=9))
FAILURE: Final = 1
BAD_CELLS_SHOWN: Final = 3
BAD_ROWS_TYPE: Final = "urn:idb:problem:bad-rows"


class _Interrupted(Exception):  # noqa: N818 - not an error: the walk stops a read on purpose
    """The walk cuts a read in the middle."""


def play(
    surface: Surface,
    *,
    data: Path | None,
    seed: int,
    is_kept: bool,
    first_port: int | None = None,
    files: Path | None = None,
) -> int:
    """Play the walk in a temporary folder and return the exit code.

    ``first_port`` is that of ``Bank``; where nothing is left running, free ports will do.
    ``files`` is a folder for the month's documents.
    """
    configure_logs("console", level="ERROR")
    with tempfile.TemporaryDirectory(prefix="databank-demo-") as folder, Gauge() as gauge:
        story = real_story(data) if data else generated_story(Path(folder), seed)
        companies = [*(o.company for o in story.offerings), story.curator]
        officers = make_officers()
        bank = Bank(
            Path(folder),
            [company.handle for company in companies],
            first_port=first_port if is_kept or first_port is not None else 0,
            overrides={
                "broker": {"admission": "approval"},
                "catalog": {"feed_seconds": 0.2},
                "clearing": {"officers": {n: k.public.jwk["x"] for n, k in officers.items()}},
            },
        )
        with bank, open_http() as http:
            walk = Walk(surface, story, Cast(bank, http), officers=officers, files=files)
            code = walk.run()
            surface.note(
                surface.say(
                    f"걸린 시간 {gauge.seconds:.1f}초 · 최대 메모리 {gauge.peak_bytes / 1e6:.0f}MB",
                    f"Took {gauge.seconds:.1f} s · peak memory {gauge.peak_bytes / 1e6:.0f} MB",
                )
            )
            if is_kept:
                _stay(surface, bank)
    return code


def _stay(surface: Surface, bank: Bank) -> None:
    url = bank.members["catalog"].url
    surface.note(surface.say(f"포털 {url} · 끝내려면 Ctrl-C", f"Portal {url} · Ctrl-C to stop"))
    wait_for_interrupt(bank)


class Walk:
    """One walk through the story; the steps run in order and hand on what they learnt."""

    def __init__(
        self,
        surface: Surface,
        story: Story,
        cast: Cast,
        *,
        officers: Mapping[str, SigningKey],
        files: Path | None,
    ) -> None:
        self._surface = surface
        self._story = story
        self._cast = cast
        self._say = surface.say
        self._curator: Session = cast.session(story.curator)
        self._participants: dict[str, Participant] = {}
        self._charged: list[CostLine] = []
        self._acts_count = 0
        self._month_end = MonthEnd(surface, story, cast, self._participants, officers, files)

    def run(self) -> int:
        """Take all steps; return 0 if every sum holds."""
        steps: list[tuple[str, str, Callable[[], None]]] = [
            ("참여: 네 회사가 등록하고 승인받습니다", "Four companies join", self.join),
            ("공개: 공급기업이 파일을 올립니다", "Suppliers publish files", self.publish),
            ("검색: 큐레이터가 찾습니다", "The curator searches", self.search),
            ("계약: 제안에 합의합니다", "Agreements are made", self.agree),
            ("이용: 견적, 내려받기, 질의", "Quote, read, query", self.use),
            ("거절: 조건과 잔액이 지켜집니다", "Terms and balance are enforced", self.refuse),
            ("계량: 사용 기록이 청산소에 모입니다", "Usage reaches clearing", self.meter),
        ]
        self._surface.note(self._surface.text(self._story.source))
        for number, (ko, en, step) in enumerate(steps, 1):
            self._surface.note(f"\n{number}. {self._say(ko, en)}")
            step()
        self._surface.note(f"\n8. {self._say('정산: 누가 누구에게 냈는가', 'Who paid whom')}")
        return self.pay()

    def join(self) -> None:
        """All four companies register; the operator admits each."""
        companies: list[Company] = [o.company for o in self._story.offerings]
        for company in [*companies, self._story.curator]:
            joined = self._cast.join(company, name=self._surface.text(company.name))
            self._participants[company.handle] = joined
            self._tell(f"{joined.name} · {format_brn(joined.brn)} · {joined.handle}")

    def publish(self) -> None:
        """The three suppliers check and publish their files."""
        for offering in self._story.offerings:
            self._publish(offering)

    def _publish(self, offering: Offering) -> None:
        session = self._cast.session(offering.company)
        report = upload(session.management, offering.file)
        request = PublishRequest(
            upload_id=report.upload_id,
            name=offering.name,
            title=offering.title,
            description=offering.description,
            domain=offering.domain,
            industry=offering.industry,
            keywords=offering.keywords,
            terms=offering.terms,
            plan=offering.plan,
            columns=offering.columns,
            is_generated=self._story.is_generated,
        )
        try:
            publication = publish(session.management, request)
        except RemoteRefusedError as refusal:
            if refusal.problem.get("type") != BAD_ROWS_TYPE:
                raise
            self._tell_bad_rows(offering, refusal.problem["bad_cells"])
            rest = request.model_copy(update={"skip_bad_rows": True})
            publication = publish(session.management, rest)
        price = self._surface.text(price_sentence(publication.plan))
        self._tell(
            self._say(
                f"{offering.ref}: {publication.dataset.rows_count:,}행 "
                f"(뺀 행 {publication.skipped_rows_count:,}) · {price}",
                f"{offering.ref}: {publication.dataset.rows_count:,} rows "
                f"({publication.skipped_rows_count:,} left out) · {price}",
            )
        )

    def _tell_bad_rows(self, offering: Offering, cells: list[dict[str, Any]]) -> None:
        """Say why the connector refuses rows, by the first of them; they are then left out."""
        for cell in [BadCell.model_validate(cell) for cell in cells[:BAD_CELLS_SHOWN]]:
            self._tell(
                self._say(
                    f"{offering.file.name} 행 {cell.row} 열 {cell.column}: {cell.value!r} – "
                    f"{cell.reason.ko}",
                    f"{offering.file.name} row {cell.row} column {cell.column}: {cell.value!r} – "
                    f"{cell.reason.en}",
                )
            )

    def search(self) -> None:
        """The curator finds all three, in Korean and in English."""
        wanted = {offering.ref for offering in self._story.offerings}

        def listed() -> bool | None:
            return wanted <= {str(found.ref) for found in self._curator.search("")} or None

        wait_for("카탈로그 (catalog)", listed)
        for words in self._story.searches:
            found = self._curator.search(words)
            self._tell(f"“{words}” → {', '.join(str(f.ref) for f in found) or '–'}")
            assert found, f"{words} finds nothing"

    def agree(self) -> None:
        """The operator books a first deposit; the curator takes all three offers."""
        curator = self._participants[self._story.curator.handle]
        balance = self._cast.deposit(curator, FIRST_DEPOSIT_WON, "demo-1")
        self._tell(
            self._say("입금 후 잔액 ", "Balance after the deposit ")
            + format_won(balance.deposit_micro)
        )
        for offering in self._story.offerings:
            agreement_id = self._curator.agree(offering.ref)
            self._tell(f"{offering.ref} → FINALIZED {agreement_id}")

    def use(self) -> None:
        """Quote, read a file in two pieces, query in place."""
        story = self._story
        self._tell_cost(self._curator.quote(story.process_sql))
        self._read(story.carbon)
        answer = self._curator.sql(story.process_sql, budget_won=10_000)
        self._count(answer.cost)
        for row in answer.to_arrow().to_pylist()[:3]:
            self._tell(" · ".join(f"{key} {value}" for key, value in row.items()))

    def _read(self, offering: Offering) -> None:
        quote = self._curator.quote_read(offering.ref)
        self._tell_cost(quote)
        self._count(quote)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "carbon.arrow"

            def cut(done: int, total: int) -> None:
                if done < total:
                    raise _Interrupted

            try:
                half = self._curator.show(offering.ref).listing.dataset.file_bytes // 2 + 1
                self._curator.read(offering.ref, target, on_bytes=cut, range_bytes=half)
            except _Interrupted:
                done = target.with_name(target.name + ".part").stat().st_size
                self._tell(self._say(f"{done:,}바이트에서 끊김", f"Cut at {done:,} bytes"))
            self._curator.read(offering.ref, target)
            size = target.stat().st_size
        self._tell(
            self._say(
                f"이어받아 {size:,}바이트, 해시 확인함", f"Resumed: {size:,} bytes, hash verified"
            )
        )

    def refuse(self) -> None:
        """One act against the terms, one without money; then a deposit, and it goes."""
        story = self._story
        with tempfile.TemporaryDirectory() as folder:
            self._expect_refusal(
                lambda: self._curator.read(story.process.ref, Path(folder) / "no.arrow")
            )
        self._expect_refusal(lambda: self._curator.sql(story.chain_sql))
        curator = self._participants[story.curator.handle]
        balance = self._cast.deposit(curator, SECOND_DEPOSIT_WON, "demo-2")
        self._tell(
            self._say("입금 후 잔액 ", "Balance after the deposit ")
            + format_won(balance.deposit_micro)
        )
        for sql in (story.chain_sql, story.joined_sql):
            answer = self._curator.sql(sql)
            self._count(answer.cost)
            self._tell_cost(answer.cost)
            for row in answer.to_arrow().to_pylist()[:3]:
                self._tell(" · ".join(f"{key} {value}" for key, value in row.items()))

    def _expect_refusal(self, act: Callable[[], object]) -> None:
        try:
            act()
        except RemoteRefusedError as refusal:
            self._tell(self._say("거절됨: ", "Refused: ") + self._surface.text(refusal.detail))
            return
        raise AssertionError("an act that must be refused was not")

    def meter(self) -> None:
        """Wait until clearing has booked every metered act."""

        def booked() -> int | None:
            meters = [
                self._cast.session(o.company).management.get("/management/meter")
                for o in self._story.offerings
            ]
            is_all = all(meter["recorded"] == meter["acknowledged"] for meter in meters)
            return sum(meter["recorded"] for meter in meters) if is_all else None

        self._acts_count = wait_for("사용 기록 (usage records)", booked)
        self._tell(
            self._say(
                f"사용 기록 {self._acts_count}건이 영수증과 함께 적혔습니다",
                f"{self._acts_count} usage records are booked with receipts",
            )
        )

    def pay(self) -> int:
        """Close the month, show who paid whom, check every sum, print and pay out."""
        period = f"{system_clock().astimezone(SEOUL):%Y-%m}"
        statements = self._cast.close(period).statements
        payments = self._cast.payments(period).payments
        books = self._cast.trial_balance()
        say = self._say
        self._surface.table(
            [payment.to_json() for payment in payments],
            (
                say("낸 회사", "payer"),
                say("받은 회사", "payee"),
                say("질의", "queries"),
                say("행", "rows"),
                say("공급가액", "supply"),
                say("세액", "VAT"),
                say("수수료", "fee"),
                say("실수령", "income"),
            ),
            [
                (
                    p.consumer_name,
                    p.supplier_name,
                    f"{p.queries_count:,}",
                    f"{p.rows_count:,}",
                    in_won(p.supply_won),
                    in_won(p.vat_won),
                    in_won(p.fee_won + p.fee_vat_won),
                    in_won(p.supply_won + p.vat_won - p.fee_won - p.fee_vat_won),
                )
                for p in payments
            ],
            numbers=(2, 3, 4, 5, 6, 7),
            title=f"{period} {say('정산', 'settlement')}",
        )
        totals = totals_of(payments, statements)
        self._tell(
            say(
                f"차변 = 대변: {format_won(books.accrual_debits_micro)} = "
                f"{format_won(books.accrual_credits_micro)} · 낸 돈 {in_won(totals.paid_won)} = "
                f"받은 돈 {in_won(totals.income_won)} + 수수료 {in_won(totals.fee_won)}",
                f"Debits = credits: {format_won(books.accrual_debits_micro)} = "
                f"{format_won(books.accrual_credits_micro)} · paid {in_won(totals.paid_won)} = "
                f"received {in_won(totals.income_won)} + fees {in_won(totals.fee_won)}",
            )
        )
        faults = find_faults(
            payments, statements, books, charged=self._charged, acts_count=self._acts_count
        )
        faults += self._prove(period, statements)
        faults += self._month_end.finish(period, statements)
        for fault in faults:
            self._tell(say("맞지 않습니다: ", "Does not add up: ") + fault)
        return FAILURE if faults else 0

    def _prove(self, period: str, statements: Sequence[Statement]) -> list[str]:
        """Let each party fetch the bundle of its statement, and compute it anew offline."""
        key = self._cast.log_key()
        issued = {statement.statement_id: statement for statement in statements}
        faults, records = list[str](), 0
        companies = [*(o.company for o in self._story.offerings), self._story.curator]
        for company in companies:
            content = self._cast.session(company).bundle(period)
            try:
                proven = verify_bundle(content, log_key=key)
            except BadBundleError as error:
                faults.append(self._surface.text(error.text))
                continue
            if proven.statement != issued.get(proven.statement.statement_id):
                faults.append(f"{company.handle}: {proven.statement.statement_id}")
            records += proven.records_count if company is self._story.curator else 0
        count = len(companies) - len(faults)
        self._tell(
            self._say(
                f"{count}개 회사가 증빙 자료를 받아 명세서를 오프라인에서 다시 계산했습니다 "
                f"(큐레이터의 사용 기록 {records}건, 원 단위까지 같음)",
                f"{count} companies fetched their bundles and computed their statements anew, "
                f"offline ({records} of the curator's usage records, equal to the won)",
            )
        )
        return faults

    def _count(self, cost: Cost) -> None:
        self._charged += cost.lines

    def _tell(self, text: str) -> None:
        self._surface.note(f"   {text}")

    def _tell_cost(self, cost: Cost) -> None:
        for line in cost.said():
            self._tell(self._surface.text(line))
