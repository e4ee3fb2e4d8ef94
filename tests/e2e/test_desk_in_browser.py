"""Two companies at their desks: Chromium, both languages, a wide and a narrow window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page

from connector.offering.model import Published
from schemas.approval import Approval
from schemas.dataset import Listing
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.terms import Terms
from tests.support.browser import NARROW, WIDE, chromium, click, is_too_wide, keep_picture, tab
from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import wait
from tests.support.haggling import ask, listing_of, wait_for_turn
from tests.support.portal import portal_with

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.xdist_group("browser")]
LISTED: Final = PricePlan(
    components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=100_000_000),)
)
WANTED: Final = {
    "terms": {**Terms(purposes=("탄소 신고",)).to_json(), "valid_days": 90},
    "plan": {
        "currency": "KRW",
        "components": [{"kind": "per_query", "amount_micro": "60000000"}],
    },
}
TITLE: Final = "압연 공정 에너지"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def sides(tmp_path: Path, registry: Registry) -> Iterator[tuple[Running, Running]]:
    with (
        connector(tmp_path / "supplier", registry, "garam") as supplier,
        connector(tmp_path / "buyer", registry, "nuri") as buyer,
    ):
        yield supplier, buyer


@pytest.fixture
def published(sides: tuple[Running, Running]) -> Published:
    terms = Terms(valid_days=30, purposes=("탄소 신고",))
    return publish(sides[0].runtime, "rolling", terms=terms, plan=LISTED)


@dataclass
class Seat:
    """A company's connector, and the window in which its people work."""

    running: Running
    page: Page
    width: int

    def sign_in(self, *, label: str, button: str, query: str = "") -> None:
        self.page.goto(f"{self.running.url}/desk{query}")
        self.check("sign-in")
        self.page.get_by_label(label).fill(self.running.app.state.context.admin_token)
        self.press(button)
        assert self.page.url == f"{self.running.url}/desk"

    def check(self, name: str) -> None:
        """Look at the page: nothing sticks out of the window."""
        assert not is_too_wide(self.page), name
        keep_picture(self.page, f"desk-{name}-{self.width}")

    def follow(self, name: str) -> None:
        click(self.page.get_by_role("link", name=name).first)

    def press(self, name: str) -> None:
        click(self.page.get_by_role("button", name=name))

    def reads(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()


def decide_by_hand(supplier: Seat) -> None:
    supplier.sign_in(label="관리 토큰", button="로그인")
    supplier.reads("답을 기다리는 것이 없습니다")
    supplier.check("inbox-empty")
    supplier.follow("우리 데이터셋")
    supplier.page.get_by_label("공급기업이 요청마다 승인합니다").check()
    supplier.press("바꾸기")
    supplier.reads("승인 방식을 바꾸었습니다")
    supplier.check("datasets")


def counter(supplier: Seat, complaints: list[str]) -> None:
    """Look at the request, make a mistake, correct it, and send the counter-offer."""
    page = supplier.page
    supplier.follow("받은 제안")
    supplier.check("inbox")
    supplier.follow("보고 답하기")
    changes = page.locator("#rounds .changes li").all_inner_texts()
    assert changes[0] == "요금 질의 1건당 ₩100 (부가세 별도) → 질의 1건당 ₩60 (부가세 별도)"
    supplier.check("asked")
    page.get_by_text("다른 조건을 역제안하기").click()
    page.get_by_label("질의 1건당").fill("팔십")
    page.get_by_label("질의 한도").fill("500")
    assert complaints == []
    supplier.press("역제안 보내기")
    supplier.reads("원 금액을 적으세요")
    assert page.get_by_label("질의 한도").input_value() == "500"
    supplier.check("faulty")
    assert all("/counter" in c or "422" in c for c in complaints), complaints
    complaints.clear()
    page.get_by_label("질의 1건당").fill("80")
    supplier.press("역제안 보내기")
    supplier.reads("역제안을 보냈습니다")
    supplier.check("countered")


def accept(buyer: Seat) -> None:
    """Accept in English, after the price was shown again."""
    buyer.sign_in(label="Admin token", button="Sign in", query="?lang=en")
    buyer.check("inbox-en")
    buyer.follow("Look and answer")
    assert buyer.page.locator("html").get_attribute("lang") == "en"
    buyer.check("seen-en")
    buyer.follow("Accept these terms")
    buyer.reads("₩80 per query")
    buyer.reads("At most 500 queries")
    buyer.check("confirmation-en")
    buyer.press("Accept and agree")
    buyer.reads("Accepted.")


def end(supplier: Seat) -> None:
    """End the agreement, with a reason."""
    supplier.follow("맺은 합의")
    supplier.check("agreements")
    supplier.follow("전력 사용량")
    supplier.check("agreement")
    supplier.follow("합의 해지하기")
    supplier.reads("명세서에 나옵니다")
    supplier.check("end")
    supplier.page.get_by_label("이유").select_option("breach")
    supplier.page.get_by_label("덧붙일 말").fill("재배포를 확인함")
    supplier.press("합의를 해지합니다")
    supplier.reads("합의를 해지했습니다")
    supplier.check("ended")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_proposal_is_countered_on_one_desk_and_accepted_on_the_other(
    browser: Browser, sides: tuple[Running, Running], published: Published, width: int
) -> None:
    """The supplier works in Korean, the buyer in English."""
    complaints: list[str] = []
    with (
        tab(browser, complaints, width=width) as theirs,
        tab(browser, complaints, width=width) as ours,
    ):
        supplier, buyer = Seat(sides[0], theirs, width), Seat(sides[1], ours, width)
        decide_by_hand(supplier)
        pid = ask(buyer.running, supplier.running, published, proposal=WANTED, dataset_title=TITLE)
        wait_for_turn(supplier.running)
        counter(supplier, complaints)
        wait_for_turn(buyer.running)
        accept(buyer)
        assert wait(buyer.running, f"/negotiations/{pid}")["state"] == "FINALIZED"
        ours.reload()
        assert ours.locator(".state").inner_text() == "finalized"
        buyer.check("agreed-en")
        end(supplier)
        supplier.follow("모든 협상")
        supplier.check("negotiations")
        supplier.press("로그아웃")
        supplier.reads("로그아웃했습니다")
    assert complaints == []


def propose(buyer: Seat, complaints: list[str]) -> None:
    """Find a dataset by words, propose another price for it, and see it once more."""
    page = buyer.page
    buyer.follow("협상 시작")
    buyer.check("begin")
    page.get_by_label("데이터셋 이름 또는 검색어").fill("없는낱말뿐")
    buyer.press("찾기")
    buyer.reads("찾은 데이터셋이 없습니다")
    buyer.check("begin-none")
    page.get_by_label("데이터셋 이름 또는 검색어").fill("전력")
    buyer.press("찾기")
    buyer.check("begin-found")
    buyer.follow("조건 보고 요청하기")
    buyer.reads("질의 1건당 ₩100")
    buyer.check("listing")
    page.get_by_text("다른 조건을 제안하기").click()
    page.get_by_label("질의 1건당").fill("육십")
    assert complaints == []
    buyer.press("요금과 조건 확인하기")
    buyer.reads("원 금액을 적으세요")
    buyer.check("listing-faulty")
    complaints.clear()
    page.get_by_label("질의 1건당").fill("60")
    buyer.press("요금과 조건 확인하기")
    buyer.reads("더 묻지 않고 합의가 맺어지고")
    assert page.locator(".big-price").inner_text() == "질의 1건당 ₩60 (부가세 별도)"
    buyer.check("asking")
    buyer.press("고치기")
    assert page.get_by_label("질의 1건당").input_value() == "60"
    buyer.press("요금과 조건 확인하기")
    buyer.press("제안 보내기")
    buyer.reads("공급기업에 요청했습니다")
    buyer.check("asked-at-our-desk")


def take(buyer: Seat) -> None:
    """Ask for the offer as it stands, in English, by its name."""
    page = buyer.page
    page.goto(f"{buyer.running.url}/desk/begin?lang=en")
    page.get_by_label("Name of the dataset, or words").fill("garam.rolling")
    buyer.press("Find")
    buyer.reads("We already negotiate about this dataset")
    buyer.check("listing-en")
    buyer.follow("Ask for it as it stands")
    buyer.reads("₩100 per query")
    buyer.check("asking-en")
    buyer.press("Send the request")
    buyer.reads("Asked the supplier")
    page.goto(f"{buyer.running.url}/desk/begin?ref=garam.nothing")
    buyer.reads("The catalog lists no dataset")
    buyer.check("begin-missing-en")


def waits_for_people(supplier: Running) -> Listing:
    """Publish a dataset whose every request waits for people."""
    terms = Terms(valid_days=30, purposes=("탄소 신고",))
    published = publish(supplier.runtime, "rolling", terms=terms, plan=LISTED)
    path, body = f"/publications/{published.dataset.id}", {"approval": "manual"}
    supplier.manage("PATCH", path, json=body).raise_for_status()
    return listing_of(supplier, published, approval=Approval.MANUAL, provider_name="가람제강")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_buyer_begins_at_its_own_desk(
    browser: Browser, registry: Registry, tmp_path: Path, width: int
) -> None:
    """It proposes other terms in Korean, and asks for the listed ones in English."""
    complaints: list[str] = []
    with connector(tmp_path / "supplier", registry, "garam") as supplier:
        listing = waits_for_people(supplier)
        with (
            portal_with(tmp_path / "catalog", [listing]) as portal,
            connector(tmp_path / "buyer", registry, "nuri", catalog_url=portal) as running,
            tab(browser, complaints, width=width) as page,
        ):
            buyer = Seat(running, page, width)
            buyer.sign_in(label="관리 토큰", button="로그인")
            propose(buyer, complaints)
            assert wait_for_turn(supplier)["counterparty_id"] == running.runtime.did
            take(buyer)
    assert all("404" in text or "garam.nothing" in text for text in complaints), complaints


def test_the_keyboard_reaches_the_content_and_the_first_form(
    browser: Browser, sides: tuple[Running, Running]
) -> None:
    complaints: list[str] = []
    with tab(browser, complaints) as page:
        page.goto(f"{sides[0].url}/desk")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.get_by_label("관리 토큰").fill("틀린 토큰")
        page.keyboard.press("Enter")
        page.get_by_text("관리 토큰이 맞지 않습니다").wait_for()
        keep_picture(page, "desk-wrong-token")
