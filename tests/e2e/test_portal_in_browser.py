"""The portal as a reader sees it: Chromium, both languages, a wide and a narrow window."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import NARROW, WIDE, chromium, click, is_too_wide, keep_picture, tab
from tests.support.listings import FREE, make_listing
from tests.support.portal import portal_with

pytestmark = [pytest.mark.browser, pytest.mark.e2e, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    listings = [
        make_listing(1, "알루미늄 탄소", is_generated=True, keywords=("탄소", "주조")),
        make_listing(2, "압연 전력", handle="mirae", plan=FREE),
        make_listing(3, "<script>document.title = 'owned'</script> 납품"),
    ]
    with portal_with(tmp_path_factory.mktemp("portal"), listings) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said, and which files were missing."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    with tab(browser, complaints) as opened:
        yield opened


def test_a_reader_searches_opens_a_dataset_and_changes_the_language(
    page: Page, portal: str, complaints: list[str]
) -> None:
    page.goto(portal)
    page.get_by_label("데이터셋 검색어").fill("압연")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=*")
    assert page.locator("article.card").count() == 1
    assert page.locator("#total").inner_text() == "‘압연’ 1건"
    click(page.get_by_role("link", name="압연 전력"))
    for heading in ("이용 조건", "요금", "이용 방법"):
        assert page.get_by_role("heading", name=heading, exact=True).is_visible()
    click(page.get_by_role("link", name="English"))
    assert page.get_by_role("heading", name="Terms of use").is_visible()
    assert page.locator("html").get_attribute("lang") == "en"
    page.goto(portal)
    assert page.get_by_role("button", name="Search").is_visible()
    assert complaints == []


def test_a_facet_narrows_and_can_be_cleared(page: Page, portal: str) -> None:
    page.goto(portal)
    click(page.locator(".facets").get_by_role("link", name="무료"))
    assert page.locator("article.card").count() == 1
    assert page.get_by_role("link", name="압연 전력").is_visible()
    click(page.get_by_role("link", name="조건 모두 지우기"))
    assert page.locator("article.card").count() == 3


def test_nothing_found_says_what_to_do_next(page: Page, portal: str) -> None:
    page.goto(f"{portal}/?q=없는것없는것")
    assert page.get_by_text("찾는 데이터셋이 없습니다").is_visible()
    assert page.get_by_text("더 짧은 단어로").is_visible()


def test_a_hostile_title_is_text(page: Page, portal: str, complaints: list[str]) -> None:
    page.goto(f"{portal}/?q=납품")
    assert "owned" not in page.title()
    assert page.get_by_role("link", name="<script>").is_visible()
    assert complaints == []


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_pages_fit_the_window_and_the_keyboard_reaches_the_content(
    page: Page, portal: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(portal)
    assert not is_too_wide(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    click(page.get_by_role("link", name="알루미늄 탄소"))
    assert not is_too_wide(page)
    assert page.get_by_role("heading", name="승인 방식").is_visible()
    keep_picture(page, f"dataset-{width}")
