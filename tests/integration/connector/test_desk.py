"""People at their desks: they see what waits, counter, accept, refuse and end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.negotiation.decide import Move, Situation
from connector.negotiation.machine import Message, State
from connector.negotiation.model import Negotiation
from connector.offering.model import Published
from connector.runtime import Deciders
from databank.kit.clock import new_urn
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.terms import Terms
from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import wait
from tests.support.desk import Page, Person, signed_in
from tests.support.haggling import answer, ask, inbox_of, wait_for_turn
from tests.support.use import wait_until

LISTED = PricePlan(components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=100_000_000),))
CHEAPER = {"components": [{"kind": "per_query", "amount_micro": "60000000"}], "currency": "KRW"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea></title><svg onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "<!-- 거꾸로\u202e -->",
)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def sides(tmp_path: Path, registry: Registry) -> Iterator[tuple[Running, Running]]:
    with (
        connector(tmp_path / "supplier", registry, "supplier") as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
    ):
        yield supplier, buyer


@pytest.fixture
def desks(sides: tuple[Running, Running]) -> Iterator[tuple[Person, Person]]:
    with signed_in(sides[0]) as at_supplier, signed_in(sides[1]) as at_buyer:
        yield at_supplier, at_buyer


def offered(supplier: Running, terms: Terms | None = None) -> Published:
    """Publish a dataset whose requests people answer."""
    published = publish(
        supplier.runtime, "energy", terms=terms or Terms(valid_days=30), plan=LISTED
    )
    path = f"/publications/{published.dataset.id}"
    assert supplier.manage("PATCH", path, json={"approval": "manual"}).status_code == 200
    return published


def proposal(**terms: Any) -> dict[str, Any]:
    return {"terms": Terms(valid_days=30).to_json() | terms, "plan": CHEAPER}


def page_of(person: Person, waiting: dict[str, Any], more: str = "") -> Page:
    return person.look(f"/negotiations/{waiting['pid']}{more}")


def asked(sides: tuple[Running, Running], **changes: Any) -> dict[str, Any]:
    """Let the buyer ask for other terms; return what the supplier has to answer."""
    supplier, buyer = sides
    ask(buyer, supplier, offered(supplier), proposal=proposal(), **changes)
    return wait_for_turn(supplier)


def test_the_inbox_says_what_waits_by_whom_and_until_when(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    at_supplier, at_buyer = desks
    for person in desks:
        assert "답을 기다리는 것이 없습니다" in person.look().text
    waiting = asked(sides)
    shown = at_supplier.look()
    for words in ("전력 사용량", "buyer", "질의 1건당 ₩60", "바뀐 것: 요금", "답할 기한: 20"):
        assert words in shown.text, words
    assert f"/desk/negotiations/{waiting['pid']}" in shown.html
    assert "답을 기다리는 것이 없습니다" in at_buyer.look().text  # it is the supplier's turn
    english = at_supplier.look("?lang=en").text
    assert "Inbox 1" in english
    assert "₩60 per query" in english


def test_the_rounds_tell_what_each_changed_and_the_terms_how_they_hold(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    waiting = asked(sides)
    shown = page_of(desks[0], waiting).text
    assert "요금 질의 1건당 ₩100 (부가세 별도) → 질의 1건당 ₩60 (부가세 별도)" in shown
    assert "등록된 조건 우리 회사" in shown
    assert "1 buyer" in shown
    assert "계약일부터 30일 동안 기술로 강제" in shown
    assert "제3자에게 다시 제공할 수 없습니다 계약으로만" in shown
    english = page_of(desks[0], waiting, "?lang=en").text
    assert "price ₩100 per query (VAT not included) → ₩60 per query" in english
    assert "For 30 days Technically enforced" in english


def test_a_counter_offer_starts_from_the_table_and_the_buyer_accepts_it(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    _, buyer = sides
    at_supplier, at_buyer = desks
    waiting = asked(sides)
    form = page_of(at_supplier, waiting)
    assert form.forms["counter"].values["price.per_query"] == ["60"]
    assert form.forms["counter"].values["terms.valid_days"] == ["30"]
    sent = at_supplier.submit(form, "counter", price__per_query="80", terms__queries_max="500")
    assert "역제안을 보냈습니다" in sent.text
    assert "상대 차례" in sent.text

    seen = wait_for_turn(buyer)
    changed = {c["field"]: c["after"]["ko"] for c in seen["rounds"][-1]["changes"]}
    assert changed == {"plan": "질의 1건당 ₩80 (부가세 별도)", "queries_max": "질의 500건까지"}
    asks = page_of(at_buyer, seen, "/acceptance")
    for words in (
        "이 조건으로 합의할까요?",
        "질의 1건당 ₩80",
        "질의 500건까지",
        "되돌릴 수 없습니다",
    ):
        assert words in asks.text, words
    assert inbox_of(buyer), "asking accepts nothing"
    done = at_buyer.submit(asks, "acceptance")
    assert "수락했습니다" in done.text
    ended = wait(buyer, f"/negotiations/{seen['pid']}")
    assert ended["state"] == "FINALIZED"
    held = buyer.manage("GET", "/agreements").json()["agreements"][0]
    assert "80000000" in str(held["policy"]["obligation"])


def test_what_is_wrong_with_a_counter_offer_comes_back_with_everything_typed(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    waiting = asked(sides)
    typed = {
        "price__per_query": "팔십",
        "price__monthly": "5,000",
        "terms__valid_days": "0",
        "terms__purposes": "탄소 신고\n품질",
        "terms__modes": ["", "query", "read"],
        "terms__redistribution_forbidden": "",
    }
    form = page_of(desks[0], waiting)
    back = desks[0].submit(form, "counter", **typed)
    assert back.status == 422
    for words in ("고칠 것이 있습니다", "원 금액을 적으세요", "1 이상이어야 합니다"):
        assert words in back.text, words
    values = back.forms["counter"].values
    for name, value in typed.items():
        assert values[name.replace("__", ".")] == ([value] if isinstance(value, str) else value)
    assert len(inbox_of(sides[0])[0]["rounds"]) == 2, "nothing was sent"
    again = desks[0].submit(back, "counter", price__per_query="80", terms__valid_days="20")
    assert "역제안을 보냈습니다" in again.text


def test_the_terms_on_the_table_are_no_counter_offer(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    back = desks[0].submit(page_of(desks[0], asked(sides)), "counter")
    assert back.status == 422
    assert "그대로 좋으면 수락하세요" in back.text


def test_a_proposal_that_came_meanwhile_is_not_accepted_unseen(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    supplier, buyer = sides
    at_supplier, _ = desks
    waiting = asked(sides)
    confirmation = page_of(at_supplier, waiting, "/acceptance")
    form = page_of(at_supplier, waiting)
    answer(supplier, waiting, kind="counter", proposal=proposal(queries_max=7))
    answer(buyer, wait_for_turn(buyer), kind="counter", proposal=proposal(valid_days=365))
    wait_for_turn(supplier)
    for page, name, changes in (
        (confirmation, "acceptance", {}),
        (form, "counter", {"price__per_query": "81"}),
        (form, "refusal", {"code": "price", "words": "비쌉니다"}),
    ):
        back = at_supplier.submit(page, name, **changes)
        assert back.status == 409, name
        assert "그 사이에 새 제안이 왔습니다" in back.text
        assert "계약일부터 365일 동안" in back.text, "the new proposal is shown"
        for field, value in changes.items():
            kept = back.forms[name].values[field.replace("__", ".")]
            assert kept == [value], "what was typed is lost"
    assert supplier.manage("GET", "/agreements").json() == {"agreements": []}
    assert "365일" in page_of(at_supplier, waiting, "/acceptance").text


def test_an_answer_without_its_rounds_or_twice_changes_nothing(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    supplier, _ = sides
    at_supplier, _ = desks
    waiting = asked(sides)
    confirmation = page_of(at_supplier, waiting, "/acceptance")
    for count in (None, "", "-1", "둘", "9" * 30, "²"):
        back = at_supplier.submit(confirmation, "acceptance", rounds_count=count)
        assert back.status == 422, count
        assert "rounds_count" in back.text
    assert inbox_of(supplier)
    at_supplier.submit(confirmation, "acceptance")
    again = at_supplier.submit(confirmation, "acceptance")
    assert again.status == 409
    assert page_of(at_supplier, waiting, "/acceptance").forms.keys() == {"sign-out"}


def test_a_refusal_needs_a_reason_and_the_other_side_reads_it(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    _, buyer = sides
    at_supplier, at_buyer = desks
    waiting = asked(sides)
    page = page_of(at_supplier, waiting)
    for code, words, said in (
        ("", "비쌉니다", "이유를 고르세요"),
        ("terms-differ", "비쌉니다", "이유를 고르세요"),  # no word of people's
        ("price", "가" * 501, "500자까지 적으세요"),
    ):
        back = at_supplier.submit(page, "refusal", code=code, words=words)
        assert (back.status, said in back.text) == (422, True)
        assert back.forms["refusal"].values["words"] == [words]
    done = at_supplier.submit(page, "refusal", code="price", words="예산을\r\n넘습니다")
    assert "거절했습니다" in done.text
    seen = wait(buyer, f"/negotiations/{waiting['consumer_pid']}")
    assert (seen["reason_code"], seen["reason"]) == ("price", "예산을\n넘습니다")
    for path in ("/negotiations", f"/negotiations/{waiting['consumer_pid']}"):
        assert "요금이 맞지 않습니다 예산을 넘습니다" in at_buyer.look(path).text
    english = at_buyer.look("/negotiations?lang=en").text
    assert "The price does not suit" in english


def test_whoever_waits_may_end_the_negotiation(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    supplier, buyer = sides
    waiting = asked(sides)
    page = desks[1].look(f"/negotiations/{waiting['consumer_pid']}")
    assert set(page.forms) == {"sign-out", "termination"}
    done = desks[1].submit(page, "termination", code="not-needed")
    assert "협상을 끝냈습니다" in done.text
    wait_until(lambda: not inbox_of(supplier), "the supplier hears of it")
    told = supplier.manage("GET", f"/negotiations/{waiting['pid']}").json()
    assert told["reason_code"] == "not-needed"
    shown = page_of(desks[0], waiting).text
    assert shown.count("더는 필요하지 않습니다") == 1, "the sentence is not said twice"
    assert desks[1].submit(page, "termination", code="not-needed").status == 409
    assert buyer.manage("GET", "/inbox").json() == {"negotiations": []}


def agreed(sides: tuple[Running, Running]) -> str:
    supplier, buyer = sides
    pid = ask(buyer, supplier, offered(supplier))
    answer(supplier, wait_for_turn(supplier), kind="accept")
    ended = wait(buyer, f"/negotiations/{pid}")
    assert ended["state"] == "FINALIZED"
    return str(ended["agreement_id"])


def test_an_agreement_is_ended_after_a_warning_and_with_a_reason(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    _, at_buyer = desks
    agreement_id = agreed(sides)
    assert "이용 중" in at_buyer.look("/agreements").text
    shown = at_buyer.look(f"/agreements/{agreement_id}")
    assert "질의 1건당 ₩100" in shown.text
    warning = at_buyer.look(f"/agreements/{agreement_id}/termination")
    for words in ("다음 질의와 내려받기부터 거절됩니다", "대금은 그대로 남고", "상대에게"):
        assert words in warning.text
    unreasoned = at_buyer.submit(warning, "termination", words="그냥")
    assert unreasoned.status == 422
    assert unreasoned.forms["termination"].values["words"] == ["그냥"]
    done = at_buyer.submit(warning, "termination", code="breach", words="합의와 다른 데이터")
    assert "합의를 해지했습니다" in done.text
    assert "우리 회사 ·" in done.text
    [held] = sides[1].manage("GET", "/agreements").json()["agreements"]
    assert (held["end"]["code"], held["end"]["reason"]) == ("breach", "합의와 다른 데이터")
    again = at_buyer.submit(warning, "termination", code="breach")
    assert (again.status, "이미 끝난 합의입니다" in again.text) == (409, True)
    over = at_buyer.look(f"/agreements/{agreement_id}/termination")
    assert "termination" not in over.forms
    assert "끝난 합의" in at_buyer.look("/agreements").text


def test_the_approval_of_a_dataset_is_changed(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    supplier, _ = sides
    published = publish(supplier.runtime, "energy")
    page = desks[0].look("/datasets")
    assert page.forms["approval"].values["approval"] == ["automatic"]
    done = desks[0].submit(page, "approval", approval="negotiable")
    assert done.forms["approval"].values["approval"] == ["negotiable"]
    [changed] = supplier.manage("GET", "/publications").json()["publications"]
    assert changed["approval"] == "negotiable"
    assert changed["offer_id"] == published.offer_id
    assert desks[0].submit(page, "approval", approval="always").status == 422
    action = "/desk/datasets/urn:uuid:none/approval"
    values = page.forms["approval"].values
    assert desks[0].send(action, {**values, "approval": "manual"}).status == 404


class Foreign:
    """A supplier that offers what our profile does not know."""

    def __init__(self, offer: dict[str, Any]) -> None:
        self._offer = offer

    def next_move(self, negotiation: Negotiation, situation: Situation) -> Move | None:
        del situation
        if negotiation.state is not State.REQUESTED:
            return None
        return Move(Message.OFFER, offer={**self._offer, "@id": new_urn()})


def test_terms_that_cannot_be_read_are_shown_as_they_came_and_never_accepted(
    tmp_path: Path, registry: Registry
) -> None:
    foreign = {
        "permission": [{"action": "use"}],
        "prohibition": [{"action": "<script>alert('팔기')</script>"}],
    }
    deciders = Deciders(negotiation=Foreign(foreign))
    with (
        connector(tmp_path / "supplier", registry, "supplier", deciders=deciders) as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
        signed_in(buyer) as person,
    ):
        published = publish(supplier.runtime, "energy", terms=Terms(valid_days=30), plan=LISTED)
        ask(buyer, supplier, published)
        waiting = wait_for_turn(buyer)
        assert waiting["rounds"][-1]["unreadable"]
        assert "수락할 수 없습니다" in person.look().text
        page = page_of(person, waiting)
        assert "수락할 수 없습니다" in page.text
        assert "alert('팔기')" in page.text
        assert "script" not in page.tags
        assert f"{waiting['pid']}/acceptance" not in page.html
        assert "acceptance" not in page_of(person, waiting, "/acceptance").forms
        values = page.forms["counter"].values
        assert values["terms.valid_days"] == ["30"], "it starts from what was listed"
        sent = {"csrf_token": values["csrf_token"], "rounds_count": values["rounds_count"]}
        forced = person.send(f"/desk/negotiations/{waiting['pid']}/acceptance", sent)
        assert (forced.status, "수락할 수 없습니다" in forced.text) == (409, True)
        assert inbox_of(buyer), "nothing was accepted"
        assert "협상이 끝났습니다" in person.submit(page, "refusal", code="other").text


def test_texts_of_others_are_shown_and_never_become_part_of_a_page(
    sides: tuple[Running, Running], desks: tuple[Person, Person], registry: Registry
) -> None:
    supplier, buyer = sides
    at_supplier, at_buyer = desks
    registry.participants[buyer.runtime.did] = registry.participants[buyer.runtime.did].model_copy(
        update={"name": HOSTILE[0]}
    )
    text = " ".join(HOSTILE)
    terms = {"purposes": list(HOSTILE), "recipients": [HOSTILE[1], buyer.runtime.did]}
    listed = offered(supplier, Terms(purposes=HOSTILE[:1]))
    ask(buyer, supplier, listed, proposal=proposal(**terms), dataset_title=text[:300])
    waiting = wait_for_turn(supplier)
    own = f"/negotiations/{waiting['consumer_pid']}"
    pages = [
        at_supplier.look(),
        page_of(at_supplier, waiting),
        page_of(at_supplier, waiting, "/acceptance"),
        at_buyer.look(own),
        at_buyer.look("/negotiations"),
    ]
    typed = at_supplier.submit(pages[1], "counter", price__one_off=text, terms__purposes=text)
    pages += [typed, at_supplier.submit(pages[1], "refusal", code=text, words=text)]
    kept = pages[-1].forms["refusal"].values["words"][0]
    assert kept == text.replace("\u202e", "")
    at_supplier.submit(pages[1], "refusal", code="other", words=text)
    wait(buyer, own)
    pages += [
        at_buyer.look(own),
        at_buyer.look("/negotiations"),
        at_buyer.look(f"/{HOSTILE[1]}"),
        at_buyer.look(f"/negotiations/{HOSTILE[0]}"),
        at_buyer.look("/negotiations", params={"said": HOSTILE[0], "lang": HOSTILE[1]}),
    ]
    for page in pages:
        assert "script" not in page.tags, page.answer.url
        assert not {"svg", "img", "style"} & set(page.tags)
        assert not any(name.startswith("on") for name, _ in page.attributes)
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", page.html)
    assert HOSTILE[0] in pages[0].text
    assert HOSTILE[0] in pages[7].text


def test_a_term_of_the_last_hour_of_the_calendar_is_shown(
    sides: tuple[Running, Running], desks: tuple[Person, Person]
) -> None:
    supplier, buyer = sides
    forever = proposal(valid_until="9999-12-31T23:59:59Z")
    ask(buyer, supplier, offered(supplier), proposal=forever)
    waiting = wait_for_turn(supplier)
    page = page_of(desks[0], waiting)
    assert page.status == 200
    done = desks[0].submit(page_of(desks[0], waiting, "/acceptance"), "acceptance")
    assert "수락했습니다" in done.text
    for path in ("/agreements", "/negotiations"):
        assert desks[0].look(path).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/negotiations?limit=0", 422),
        ("/negotiations?limit=x", 422),
        ("/agreements?limit=99999999999999999999", 422),
        ("/negotiations/%00", 404),
        ("/negotiations/%F0%9F%98%80", 404),
        ("/agreements/..%2f..%2fhealthz", 404),
        ("/datasets/x/approval", 404),
        ("/nothing/here", 404),
    ],
)
def test_a_broken_address_is_a_page_that_says_so(company: Person, path: str, status: int) -> None:
    page = company.look(path)
    assert page.status == status
    assert page.answer.headers["content-type"].startswith("text/html")
    assert "받은 제안으로" in page.text


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("company")
    with connector(folder, Registry(), "company") as running, signed_in(running) as person:
        yield person


def test_a_form_that_is_too_large_or_broken_is_a_page_that_says_so(company: Person) -> None:
    page = company.look("/datasets")
    token = page.forms["sign-out"].values["csrf_token"][0]
    action = "/desk/negotiations/urn:uuid:1/refusal"
    large = company.send(action, {"csrf_token": token, "words": "가" * 300_000})
    assert large.status == 413
    many = company.send(action, {"csrf_token": token, **{f"f{n}": "x" for n in range(2000)}})
    assert many.status == 422
    for broken in (b"%", b"\xff\xfe", b"csrf_token=" + token.encode() + b"&rounds_count=%FF"):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = company.http.post(action, content=broken, headers=headers)
        assert answer.status_code in {403, 404}
        assert answer.headers["content-type"].startswith("text/html")
