"""The portal's pages over HTTP: both languages, hostile texts, broken links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from schemas.approval import Approval
from schemas.dataset import Listing
from schemas.wire import Text
from tests.support.listings import FREE, make_listing
from tests.support.portal import portal_with

HOSTILE: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'-alert(1)-'",
    "</title><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)",
    "<style>*{display:none}</style>",
    "<!--",
    "&lt;script&gt;",
    "이름\u202e거꾸로\u2066",
    "널\u0007\u001b[31m",
)


class Elements(HTMLParser):
    """Counts what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture
def listings() -> list[Listing]:
    return [
        make_listing(1, "알루미늄 탄소", is_generated=True, keywords=("탄소", "주조")),
        make_listing(2, "압연 전력", handle="mirae", plan=FREE),
    ]


@pytest.fixture
def portal(tmp_path: Path, listings: list[Listing]) -> Iterator[str]:
    with portal_with(tmp_path, listings) as url:
        yield url


def page(url: str, **options: Any) -> httpx.Response:
    answer = httpx.get(url, **options)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer


def test_the_search_page_shows_hits_facets_and_the_supplier(portal: str) -> None:
    shown = page(f"{portal}/?q=탄소").text
    assert '<html lang="ko">' in shown
    for words in (
        "알루미늄 탄소",
        "등록 참여자",
        "생성 데이터",
        "주식회사 hanbit",
        "질의 1건당 ₩100",
    ):
        assert words in shown
    assert "압연 전력" in page(f"{portal}/").text


def test_a_choice_of_language_is_remembered(portal: str) -> None:
    with httpx.Client(base_url=portal) as browser:
        assert "Registered" in browser.get("/?lang=en").text
        assert '<html lang="en">' in browser.get("/").text
        assert '<html lang="ko">' in browser.get("/?lang=ko").text
        assert '<html lang="ko">' in browser.get("/").text
        assert '<html lang="ko">' in browser.get("/?lang=xx").text


def test_an_address_that_leads_nowhere_is_a_page_for_readers_only(portal: str) -> None:
    shown = httpx.get(f"{portal}/nope", headers={"Accept": "text/html,*/*"})
    assert (shown.status_code, "찾을 수 없습니다" in shown.text) == (404, True)
    told = httpx.get(f"{portal}/nope", headers={"Accept": "application/json"})
    assert told.status_code == 404
    assert told.headers["content-type"] == "application/problem+json"


def test_facet_links_lead_to_as_many_hits_as_they_say(portal: str) -> None:
    shown = page(f"{portal}/").text
    links = re.findall(r'<a href="(/\?[^"]+)"><span>[^<]+</span><span class="count">(\d+)<', shown)
    assert len(links) >= 5
    for href, count in links:
        narrowed = page(portal + href.replace("&amp;", "&")).text
        assert f"<b>{count}</b>" in narrowed


def test_the_dataset_page_shows_terms_columns_sample_and_how_to_use_it(
    portal: str, listings: list[Listing]
) -> None:
    shown = page(f"{portal}/d/{listings[0].dataset.id}").text
    for words in (
        "hanbit.dataset_1",
        "kgCO2e",
        "온실가스 배출량",
        "2.25",
        "기술로 강제",
        "계약으로만",
        "이용 목적: 탄소 신고",
        "질의 1건당 ₩100 (부가세 별도)",
        "databank.connect()",
    ):
        assert words in shown
    english = page(f"{portal}/d/{listings[0].dataset.id}?lang=en").text
    assert "Technically enforced" in english
    assert "Greenhouse gas emissions" in english


def test_the_listing_says_how_requests_are_approved(tmp_path: Path) -> None:
    manual = make_listing(1).model_copy(update={"approval": Approval.MANUAL})
    with portal_with(tmp_path, [make_listing(2), manual]) as url:
        shown = page(f"{url}/d/{manual.dataset.id}").text
        assert "승인 방식" in shown
        assert "공급기업이 요청마다 승인합니다" in shown
        assert (
            "The supplier approves every request"
            in page(f"{url}/d/{manual.dataset.id}?lang=en").text
        )
        automatic = page(f"{url}/d/{make_listing(2).dataset.id}").text
        assert "제안 그대로면 바로 합의합니다" in automatic


def test_a_listing_of_the_last_hour_of_the_calendar_is_shown(tmp_path: Path) -> None:
    """The clocks in Korea have no such time."""
    end = datetime.max.replace(tzinfo=UTC)
    listing = make_listing(1, issued_at=end, modified_at=end)
    with portal_with(tmp_path, [listing]) as url:
        assert "9999-12-31" in page(f"{url}/").text
        assert page(f"{url}/d/{listing.dataset.id}").status_code == 200


@pytest.mark.parametrize("path", ["/d/nothing", "/d/%3Cscript%3E", "/d/..%2f"])
def test_a_dataset_that_is_not_there_has_a_page_that_says_so(portal: str, path: str) -> None:
    answer = httpx.get(portal + path)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "query", ["cursor=broken", "domain=nonsense", "price=%25", "q=" + "가" * 500, "q=%00", "q='\""]
)
def test_broken_links_still_show_a_page(portal: str, query: str) -> None:
    assert page(f"{portal}/?{query}").status_code == 200


def test_an_empty_portal_says_that_nothing_is_listed_yet(tmp_path: Path) -> None:
    with portal_with(tmp_path, []) as url:
        assert "아직 등록된 데이터셋이 없습니다" in page(url).text
        assert "찾는 데이터셋이 없습니다" in page(f"{url}/?q=탄소").text


def test_pages_allow_no_script_and_load_nothing_from_elsewhere(portal: str) -> None:
    headers = page(portal).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    for name in ("page.css", "portal.css"):
        css = httpx.get(f"{portal}/static/{name}")
        assert css.headers["content-type"].startswith("text/css")
        assert "url(" not in css.text


def hostile_listing(number: int, text: str) -> Listing:
    listing = make_listing(number, text)
    dataset = listing.dataset.model_copy(
        update={
            "description": Text(ko=text, en=text),
            "keywords": (text,),
            "title": Text(ko=text, en=text),
            "sample": ((text,),),
            "sample_columns": (text,),
        }
    )
    return listing.model_copy(update={"dataset": dataset, "provider_name": text})


def test_texts_of_datasets_are_shown_and_never_become_part_of_the_page(tmp_path: Path) -> None:
    plain, hostile = (
        make_listing(0, "평범한 제목"),
        [hostile_listing(n, text) for n, text in enumerate(HOSTILE, 1)],
    )
    with portal_with(tmp_path, [plain, *(hostile)]) as url:
        usual = set(elements(page(f"{url}/d/{plain.dataset.id}").text).tags)
        for listing in hostile:
            for path in (f"/d/{listing.dataset.id}", "/", f"/?q={'<script>'}"):
                shown = page(url + path, params={"lang": "en"}).text
                found = elements(shown)
                assert "script" not in found.tags
                assert not any(name.startswith("on") for name, _ in found.attributes)
                assert not any("javascript:" in (value or "") for _, value in found.attributes)
                assert not re.search("[\u202a-\u202e\u2066-\u2069\u0000-\u0008\u001b]", shown)
                if path.startswith("/d/"):
                    assert set(found.tags) - usual <= {"pre"}


def elements(html: str) -> Elements:
    found = Elements()
    found.feed(html)
    return found
