"""A buyer begins a negotiation at its own desk: finds a dataset, sees its terms, asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from connector.offering.model import Published
from schemas.approval import Approval
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.terms import Terms
from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import wait
from tests.support.desk import Page, Person, signed_in
from tests.support.haggling import listing_of, wait_for_turn
from tests.support.listings import make_listing
from tests.support.portal import portal_with, relist

LISTED: Final = PricePlan(
    components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=100_000_000),)
)
DEAR: Final = PricePlan(
    components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=900_000_000),)
)
REF: Final = "garam.energy"


@dataclass
class Market:
    """A supplier with one listed dataset, the catalog that lists it, and a buyer at its desk."""

    supplier: Running
    buyer: Running
    published: Published
    catalog: Path
    person: Person

    def begin(self, wanted: str, more: str = "") -> Page:
        return self.person.look("/begin", params={"ref": wanted, "lang": more or "ko"})

    def negotiations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.buyer.manage("GET", "/negotiations").json()[
            "negotiations"
        ]
        return found


@pytest.fixture(params=[Approval.NEGOTIABLE])
def market(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Market]:
    registry = Registry()
    with connector(tmp_path / "supplier", registry, "garam") as supplier:
        published = replace(
            publish(supplier.runtime, "energy", terms=Terms(valid_days=30), plan=LISTED),
            approval=request.param,
        )
        path = f"/publications/{published.dataset.id}"
        supplier.manage("PATCH", path, json={"approval": request.param}).raise_for_status()
        catalog = tmp_path / "catalog"
        listings = [listing_of(supplier, published), make_listing(2, "압연 전력", handle="mirae")]
        with (
            portal_with(catalog, listings) as portal,
            connector(tmp_path / "buyer", registry, "nuri", catalog_url=portal) as buyer,
            signed_in(buyer) as person,
        ):
            yield Market(supplier, buyer, published, catalog, person)


def test_the_desk_finds_a_dataset_by_name_id_page_and_words(market: Market) -> None:
    empty = market.person.look("/begin")
    assert "어떤 데이터셋을 쓰고 싶습니까" in empty.text
    assert '<a href="/desk/begin" aria-current="page">협상 시작</a>' in empty.html
    id_ = market.published.dataset.id
    portal = market.buyer.runtime.settings.catalog_url
    for wanted in (REF, " GARAM.energy ", id_, f"{portal}/d/{id_}?lang=en", f"/d/{id_}"):
        shown = market.begin(wanted)
        assert shown.status == 200, shown.text
        for words in ("전력 사용량", REF, "질의 1건당 ₩100", "계약일부터 30일 동안 기술로 강제"):
            assert words in shown.text, (wanted, words)
    hits = market.begin("전력")
    assert "찾은 데이터셋 2" in hits.text
    assert f"/desk/begin?ref={REF}" in hits.html
    english = market.begin(REF, "en").text
    for words in ("₩100 per query", "For 30 days Technically enforced", "Ask for it as it stands"):
        assert words in english, words


def test_what_is_not_listed_is_said_and_nothing_is_lost(market: Market) -> None:
    for wanted in ("garam.nothing", "urn:uuid:none", "/d/", "no.such.name/d/%00"):
        missing = market.begin(wanted)
        assert missing.status == 404, (wanted, missing.text)
        assert "카탈로그에" in missing.text
        assert f'value="{wanted}"' in missing.html
    assert "찾은 데이터셋이 없습니다" in market.begin("없는낱말뿐").text
    assert "Nothing was found" in market.begin("없는낱말뿐", "en").text
    hostile = market.begin('"><script>alert(1)</script>')
    assert "script" not in hostile.tags
    assert market.begin("a" * 201).status == 422


def test_an_offer_is_asked_for_as_it_stands_after_the_price_was_shown_again(
    market: Market,
) -> None:
    person = market.person
    asks = person.look("/begin/confirmation", params={"ref": market.published.dataset.id})
    for words in ("이렇게 요청할까요", REF, "질의 1건당 ₩100", "더 묻지 않고 합의가 맺어지고"):
        assert words in asks.text, words
    assert market.negotiations() == [], "looking asks for nothing"
    done = person.submit(asks, "begin")
    assert "공급기업에 요청했습니다" in done.text
    [begun] = market.negotiations()
    assert str(done.answer.url).endswith(f"/desk/negotiations/{begun['pid']}?said=asked")
    assert wait(market.buyer, f"/negotiations/{begun['pid']}")["state"] == "FINALIZED"
    again = person.submit(asks, "begin")  # pressed twice, or gone back and sent again
    assert again.answer.url == done.answer.url
    assert len(market.negotiations()) == 1
    shown = market.begin(REF)
    assert "이미 이 데이터셋을 쓸 수 있는 합의가 있습니다" in shown.text
    known = market.buyer.manage("GET", "/agreements", params={"ref": REF}).json()["agreements"]
    assert len(known) == 1


def test_other_terms_are_proposed_after_they_were_shown_again(market: Market) -> None:
    person = market.person
    form = market.begin(REF)
    assert form.forms["confirmation"].values["price.per_query"] == ["100"]
    asks = person.submit(form, "confirmation", price__per_query="60", terms__queries_max="500")
    for words in ("질의 1건당 ₩60", "질의 500건까지", "등록된 조건과 다른 것", "제안 보내기"):
        assert words in asks.text, words
    assert market.negotiations() == []
    form_again = person.send(
        "/desk/begin/confirmation", {**asks.forms["begin"].values, "edit": "yes"}
    )
    assert form_again.forms["confirmation"].values["price.per_query"] == ["60"]
    assert market.negotiations() == []
    sent = person.submit(asks, "begin")
    assert "공급기업에 요청했습니다" in sent.text
    waiting = wait_for_turn(market.supplier)
    changed = {c["field"]: c["after"]["ko"] for c in waiting["rounds"][-1]["changes"]}
    assert changed == {"plan": "질의 1건당 ₩60 (부가세 별도)", "queries_max": "질의 500건까지"}
    assert waiting["rounds"][-1]["proposal"]["terms"]["valid_days"] == 30
    assert "협상이 진행 중입니다" in market.begin(REF).text


def test_what_is_wrong_with_a_proposal_comes_back_with_everything_typed(market: Market) -> None:
    form = market.begin(REF)
    faulty = market.person.submit(
        form, "confirmation", price__per_query="육십", terms__queries_max="500"
    )
    assert faulty.status == 422
    assert "원 금액을 적으세요" in faulty.text
    assert faulty.forms["confirmation"].values["terms.queries_max"] == ["500"]
    same = market.person.submit(form, "confirmation")
    assert same.status == 409
    assert "등록된 조건과 같습니다" in same.text
    assert market.negotiations() == []


@pytest.mark.parametrize("renamed", [True, False])
def test_terms_that_changed_meanwhile_are_not_asked_for_unseen(
    market: Market, *, renamed: bool
) -> None:
    person = market.person
    asks = person.look("/begin/confirmation", params={"ref": REF})
    offer_id = make_listing(9).offer_id if renamed else market.published.offer_id
    dearer = replace(market.published, plan=DEAR, offer_id=offer_id)
    relist(market.catalog, listing_of(market.supplier, dearer))
    refused = person.submit(asks, "begin")
    assert refused.status == 409
    for words in ("조건이나 요금을 바꾸었습니다", "질의 1건당 ₩900"):
        assert words in refused.text, words
    assert market.negotiations() == []


@pytest.mark.parametrize("market", [Approval.AUTOMATIC], indirect=True)
def test_no_form_is_shown_where_no_other_terms_are_taken(market: Market) -> None:
    shown = market.begin(REF)
    assert "다른 조건은 받지 않습니다" in shown.text
    assert set(shown.forms) == {"sign-out"}
    assert "이 조건 그대로 요청하기" in shown.text


def test_our_own_dataset_and_unreadable_terms_cannot_be_asked_for(market: Market) -> None:
    own = publish(market.buyer.runtime, "own", plan=LISTED)
    relist(market.catalog, listing_of(market.buyer, own))
    shown = market.begin("nuri.own")
    assert "합의할 상대가 없습니다" in shown.text
    assert "이 조건 그대로 요청하기" not in shown.text
    asks = market.person.look("/begin/confirmation", params={"ref": "nuri.own"})
    assert "합의할 상대가 없습니다" in market.person.submit(asks, "begin").text
    strange = {"permission": [{"action": "use", "constraint": [{"leftOperand": "moon"}]}]}
    relist(market.catalog, listing_of(market.supplier, market.published, policy=strange))
    shown = market.begin(REF)
    assert shown.status == 200
    assert "이 조건 그대로 요청하기" not in shown.text
    refused = market.person.look("/begin/confirmation", params={"ref": REF})
    assert refused.status == 409
    assert market.negotiations() == []


@pytest.mark.parametrize("pid", ["", "x", "urn:uuid:../../x"])
def test_a_form_without_its_pid_asks_for_nothing(market: Market, pid: str) -> None:
    asks = market.person.look("/begin/confirmation", params={"ref": REF})
    refused = market.person.submit(asks, "begin", pid=pid)
    assert refused.status == 422, refused.text
    assert market.negotiations() == []


def test_whoever_is_not_signed_in_begins_nothing(market: Market) -> None:
    asks = market.person.look("/begin/confirmation", params={"ref": REF})
    with Person(market.buyer) as stranger:
        assert "로그인" in stranger.look("/begin").text
        assert stranger.submit(asks, "begin").status == 401
    forged = market.person.submit(asks, "begin", csrf_token="forged")
    assert forged.status == 403
    assert market.negotiations() == []


def test_a_catalog_that_is_away_is_said(tmp_path: Path) -> None:
    with (
        connector(
            tmp_path / "buyer", Registry(), "nuri", catalog_url="http://localhost:9"
        ) as buyer,
        signed_in(buyer) as person,
    ):
        for wanted in (REF, "전력"):
            shown = person.look("/begin", params={"ref": wanted})
            assert shown.status == 503
            assert f'value="{wanted}"' in shown.html


def test_the_other_language_is_of_the_same_page_also_when_the_catalog_is_away(
    tmp_path: Path,
) -> None:
    """The link had a second question mark, and asked for a dataset of another name."""
    with connector(tmp_path, Registry(), "buyer") as buyer, signed_in(buyer) as person:
        page = person.look("/begin", params={"ref": "garam.energy"})
        assert page.status == 503
        assert ("href", "/desk/begin?ref=garam.energy&lang=en") in page.attributes
