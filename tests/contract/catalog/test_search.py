"""The index finds Korean words on SQLite and on PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from catalog.index import store
from catalog.index.document import to_document
from catalog.search.model import Filters
from catalog.search.service import resolve, search
from databank.kit.db import Database, UnitOfWork
from schemas.dataset import Domain, Industry, Listing
from schemas.problem import InvalidRequestError, NotFoundError
from schemas.search import SearchAnswer
from schemas.wire import Text
from tests.support.listings import FREE, NOON, make_listing

TITLES: Final = (
    "알루미늄 다이캐스팅 공정별 탄소배출량",  # 0
    "리튬이온 2차전지 셀 조립 불량률과 수율",  # 1
    "철강 압연 에너지 사용량",  # 2
    "자동차 부품 납품 이력과 협력사 품질",  # 3
    "모터 진동 예지보전 센서 데이터",  # 4
    "반도체 식각 설비 고장 기록",  # 5
    "섬유 염색 용수와 폐수",  # 6
    "가전제품 Scope 3 온실가스 배출",  # 7
    "용접로봇 전류 시계열",  # 8
    "철 스크랩 디지털 제품 여권",  # 9
)
FOUND: Final = (
    ("탄소", 0),
    ("공정", 0),
    ("불량", 1),
    ("수율", 1),
    ("배출", 0),
    ("철강", 2),
    ("식각", 5),
    ("고장", 5),
    ("염색", 6),
    ("2차전지", 1),
    ("2차 전지", 1),
    ("이차전지", 1),
    ("배터리", 1),
    ("battery", 1),
    ("예지 보전", 4),
    ("예지보전", 4),
    ("고장 예측", 5),
    ("협력업체", 3),
    ("supplier", 3),
    ("scope3", 7),
    ("스코프3", 7),
    ("Scope 3", 7),
    ("용접로봇", 8),
    ("디지털제품여권", 9),
    ("DPP", 9),
    ("알루미늄 탄소", 0),
    ("aluminum carbon", 0),
    ("steel", 2),
    ("process", 0),
    ("ＳＴＥＥＬ", 2),
    ("철", 9),
    ("탄소배출량을", 0),
)


@pytest.fixture
def uow(database_url: str) -> Iterator[UnitOfWork]:
    database = Database(database_url)
    database.migrate("catalog")
    with database.unit_of_work() as opened:
        yield opened
    database.close()


def put(uow: UnitOfWork, *listings: Listing) -> None:
    for listing in listings:
        store.put(uow, to_document(listing))


def ask(uow: UnitOfWork, q: str = "", **filters: str) -> SearchAnswer:
    return search(uow, q, Filters(**filters), limit=100, cursor=None)


def numbers(answer: SearchAnswer) -> list[int]:
    return [hit.dataset.rows_count - 1000 for hit in answer.hits]


def test_every_word_of_the_list_finds_its_dataset(uow: UnitOfWork) -> None:
    # One industry without words of its own, so that titles alone decide.
    other: dict[str, Any] = {"industry": Industry.OTHER, "domain": Domain.SUPPLY_CHAIN}
    put(uow, *(make_listing(n, title, **other, keywords=()) for n, title in enumerate(TITLES)))
    found = {q: numbers(ask(uow, q)) for q, _ in FOUND}
    assert {q: found[q] for q, n in FOUND if n not in found[q]} == {}


def test_nothing_is_found_for_words_that_stand_nowhere(uow: UnitOfWork) -> None:
    put(uow, make_listing(1))
    assert ask(uow, "zebra").total_count == 0
    assert ask(uow, "얼룩말").total_count == 0


def test_all_words_come_first_and_any_word_only_when_nothing_has_all(uow: UnitOfWork) -> None:
    put(uow, make_listing(1, "염색 용수"), make_listing(2, "압연 용수"))
    both = ask(uow, "염색 용수")
    assert (numbers(both), both.is_widened) == ([1], False)
    widened = ask(uow, "염색 압연")
    assert (sorted(numbers(widened)), widened.is_widened) == ([1, 2], True)


def test_a_filter_never_widens_a_search(uow: UnitOfWork) -> None:
    put(
        uow,
        make_listing(1, "염색 용수", industry=Industry.TEXTILES),
        make_listing(2, "압연 용수", industry=Industry.STEEL_ALUMINIUM),
    )
    answer = ask(uow, "염색 용수", industry=Industry.STEEL_ALUMINIUM)
    assert (answer.total_count, answer.is_widened) == (0, False)


def test_a_word_in_the_title_ranks_above_one_in_the_description(uow: UnitOfWork) -> None:
    text = Text(ko="염색 공장의 용수 사용량을 날마다 잰 기록", en="")
    put(uow, make_listing(1, "용수 기록", description=text), make_listing(2, "염색 기록"))
    assert numbers(ask(uow, "염색")) == [2, 1]


@pytest.mark.parametrize(
    "q",
    [
        "' OR 1=1 --",
        '"',
        'a" OR b',
        "NEAR(a b)",
        "탄소*",
        "(((",
        "a & | !",
        "\\",
        ":*",
        "\x00",
        "'",
    ],
)
def test_queries_are_words_and_never_syntax(uow: UnitOfWork, q: str) -> None:
    put(uow, make_listing(1))
    answer = ask(uow, q)
    assert answer.total_count in {0, 1}


def test_pages_hold_each_dataset_once_in_the_order_of_one_long_page(uow: UnitOfWork) -> None:
    for n in range(25):
        put(uow, make_listing(n, f"탄소 {'배출 ' * (n % 4)}", modified_at=NOON + timedelta(n % 5)))
    for q in ("", "탄소", "배출"):
        whole = numbers(ask(uow, q))
        pieces: list[int] = []
        cursor: str | None = None
        while True:
            answer = search(uow, q, Filters(), limit=4, cursor=cursor)
            pieces += numbers(answer)
            assert answer.total_count == len(whole)
            cursor = answer.next_cursor
            if cursor is None:
                break
        assert pieces == whole, q
        assert len(set(pieces)) == len(pieces) == 25, q


@pytest.mark.parametrize("cursor", ["x", "", "e30", "WzEsIDJd_", "W05hTiwgMV0", "WzFlOTk5LCAxXQ"])
def test_a_made_up_cursor_is_refused(uow: UnitOfWork, cursor: str) -> None:
    with pytest.raises(InvalidRequestError):
        search(uow, "", Filters(), limit=1, cursor=cursor)


def test_choosing_a_facet_value_leaves_as_many_hits_as_it_says(uow: UnitOfWork) -> None:
    put(
        uow,
        make_listing(1, domain=Domain.CARBON, industry=Industry.BATTERY, plan=FREE),
        make_listing(2, domain=Domain.CARBON, industry=Industry.TEXTILES, handle="mirae"),
        make_listing(3, domain=Domain.PROCESS, industry=Industry.BATTERY, is_generated=True),
        make_listing(4, "무관한 것", domain=Domain.PROCESS, industry=Industry.OTHER),
    )
    chosen_first: tuple[dict[str, str], ...] = (
        {},
        {"domain": "carbon"},
        {"industry": "battery"},
        {"provider": "hanbit", "domain": "process"},
        {"price": "free"},
        {"generated": "no"},
    )
    for chosen in chosen_first:
        answer = ask(uow, "다이캐스팅", **chosen)
        seen = 0
        for name in ("domain", "industry", "provider", "price", "generated"):
            for value in getattr(answer.facets, name):
                seen += 1
                narrowed = ask(uow, "다이캐스팅", **(chosen | {name: value.value}))
                assert narrowed.total_count == value.count, (chosen, name, value)
        assert seen >= 5


def test_a_changed_listing_is_found_by_its_new_words_only(uow: UnitOfWork) -> None:
    put(uow, make_listing(1, "염색 용수"))
    put(uow, make_listing(1, "압연 전력"))
    assert [ask(uow, q).total_count for q in ("염색", "압연", "")] == [0, 1, 1]
    store.remove(uow, make_listing(1).dataset.id)
    assert (ask(uow, "압연").total_count, ask(uow).total_count) == (0, 0)


def test_a_dataset_is_resolved_by_its_name_in_sql(uow: UnitOfWork) -> None:
    listing = make_listing(1)
    put(uow, listing, make_listing(2), make_listing(3, handle="mirae", name="dataset_1"))
    assert resolve(uow, "hanbit.dataset_1") == listing
    with pytest.raises(NotFoundError):
        resolve(uow, "hanbit.dataset_3")
