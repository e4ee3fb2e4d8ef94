"""The broker against suppliers that behave, and against suppliers that do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from schemas.participant import CrawlReport, Feed, FeedEntry
from tests.support.listings import make_dataset
from tests.support.registry import ADMIN, Company, running_broker, wait_until
from tests.support.supplier import Answering, Supplier, running_supplier

BOUNDS: Final[dict[str, Any]] = {
    "crawl_seconds": 300,
    "crawl_pages_max": 5,
    "crawl_datasets_max": 20,
    "crawl_bytes_max": 200_000,
    "crawl_time_max_seconds": 1.0,
    "http_timeout_seconds": 0.5,
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_broker(tmp_path_factory.mktemp("broker"), **BOUNDS) as url:
        yield url


@pytest.fixture
def supplier() -> Iterator[Supplier]:
    with running_supplier() as running:
        yield running


@pytest.fixture
def company(broker: str, supplier: Supplier) -> Company:
    """Join once the test has decided how the supplier behaves; see ``crawled``."""
    return Company(broker, f"company_{supplier.url.rpartition(':')[2]}", supplier.url)


def crawled(company: Company) -> CrawlReport:
    """Have the company crawled now and return how it went."""
    company.join()
    before = report(company)
    runs = (before.last_success_at, before.failures_count)
    assert company.call("POST", "/crawls").status_code == 202

    def is_done() -> bool:
        now = report(company)
        return (now.last_success_at, now.failures_count) != runs

    wait_until(is_done, "the crawl ends")
    return report(company)


def report(company: Company) -> CrawlReport:
    answer = httpx.get(f"{company.broker}/crawls", headers=ADMIN).json()
    [found] = [s for s in answer["sources"] if s["participant_id"] == company.id]
    return CrawlReport.model_validate(found)


def feed(company: Company, after: int = 0) -> Feed:
    return Feed.model_validate(company.call("GET", f"/feed?after={after}&limit=1000").json())


def entries(company: Company) -> list[tuple[str, bool]]:
    """Return the changes of this company: dataset name or id, and whether it is listed."""
    return [
        (entry.dataset_id, entry.listing is not None)
        for entry in feed(company).entries
        if entry.provider_id == company.id
    ]


def test_changes_are_written_once_and_removals_leave_tombstones(
    company: Company, supplier: Supplier
) -> None:
    first, second = make_dataset(1), make_dataset(2)
    supplier.publish(first, second)
    assert crawled(company).datasets_count == 2
    assert entries(company) == [(first.id, True), (second.id, True)]

    changed = second.model_copy(update={"rows_count": 7})
    supplier.publish(first, changed)
    crawled(company)
    assert entries(company)[2:] == [(second.id, True)]

    supplier.publish(first)
    assert crawled(company).datasets_count == 1
    assert entries(company)[3:] == [(second.id, False)]


def test_an_unchanged_catalog_is_answered_304_and_writes_nothing(
    company: Company, supplier: Supplier
) -> None:
    supplier.publish(make_dataset(11))
    crawled(company)
    before = entries(company)
    crawled(company)
    assert supplier.statuses[-1] == 304
    assert entries(company) == before


def test_the_feed_is_read_on_from_where_one_stopped(company: Company, supplier: Supplier) -> None:
    supplier.publish(*(make_dataset(n) for n in range(21, 24)))
    crawled(company)
    whole = feed(company)
    pieces: list[FeedEntry] = []
    after = 0
    while after < whole.head_seq:
        page = Feed.model_validate(company.call("GET", f"/feed?after={after}&limit=2").json())
        pieces += page.entries
        after = page.last_seq
    assert tuple(pieces) == whole.entries
    assert [e.seq for e in pieces] == sorted({e.seq for e in pieces})
    assert feed(company, after).entries == ()


def test_a_catalog_of_several_pages_is_read_whole(company: Company, supplier: Supplier) -> None:
    supplier.publish(*(make_dataset(n) for n in range(31, 34)))

    def pages(request: Answering) -> None:
        number = int(request.path.partition("page=")[2] or 0)
        last = number == 2
        headers = (
            {} if last else {"Link": f'</dsp/2025-1/catalog/request?page={number + 1}>; rel="next"'}
        )
        request.send(200, supplier.catalog(supplier.datasets[number : number + 1]), **headers)

    supplier.behave = pages
    assert crawled(company).datasets_count == 3


def endless(request: Answering) -> None:
    number = int(request.path.partition("page=")[2] or 0)
    request.send(200, request.supplier.catalog(), Link=f'<?page={number + 1}>; rel="next"')


def circle(request: Answering) -> None:
    request.send(200, request.supplier.catalog(), Link='<>; rel="next"')


def other_origin(request: Answering) -> None:
    request.send(
        200, request.supplier.catalog(), Link='<http://169.254.169.254/latest>; rel="next"'
    )


def redirect(request: Answering) -> None:
    request.send(307, Location="http://169.254.169.254/latest")


def huge(request: Answering) -> None:
    request.send(200, b" " * 300_000)


def endless_body(request: Answering) -> None:
    request.send_response(200)
    request.end_headers()
    while not request.supplier.stopping.is_set():
        request.wfile.write(b" " * 65_536)


def dripping(request: Answering) -> None:
    request.send_response(200)
    request.end_headers()
    while not request.supplier.stopping.wait(0.1):
        request.wfile.write(b" ")


def silent(request: Answering) -> None:
    request.supplier.stopping.wait(5)
    request.close_connection = True


def many(request: Answering) -> None:
    request.send(200, request.supplier.catalog([{}] * 21))


def compressed(request: Answering) -> None:
    request.send(200, b"\x1f\x8b", Content_Encoding="gzip")


def not_json(request: Answering) -> None:
    request.send(200, b"<html>")


def deep(request: Answering) -> None:
    request.send(200, b"[" * 100_000)


def not_a_number(request: Answering) -> None:
    request.send(200, b'{"@type": "Catalog", "x": NaN}')


def of_someone_else(request: Answering) -> None:
    request.send(200, request.supplier.catalog(participantId="did:web:bank.example"))


def broken(request: Answering) -> None:
    request.send(500, b"{}")


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (endless, "over 5 pages"),
        (circle, "circle"),
        (other_origin, "another origin"),
        (redirect, "HTTP 307"),
        (huge, "over 200000 bytes"),
        (endless_body, "over 200000 bytes"),
        (dripping, "over 1 seconds"),
        (silent, "does not answer"),
        (many, "over 20 datasets"),
        (compressed, "compressed"),
        (not_json, "not JSON"),
        (deep, "not JSON"),
        (not_a_number, "not JSON"),
        (of_someone_else, "is not of"),
        (broken, "HTTP 500"),
    ],
    ids=lambda value: getattr(value, "__name__", "-"),
)
def test_a_hostile_catalog_ends_its_own_crawl_and_changes_nothing(
    company: Company,
    supplier: Supplier,
    behaviour: Callable[[Answering], None],
    said: str,
) -> None:
    supplier.publish(make_dataset(int(supplier.url.rpartition(":")[2])))
    assert crawled(company).datasets_count == 1
    before = entries(company)
    supplier.behave = behaviour
    failed = crawled(company)
    assert failed.error is not None
    assert said in failed.error
    assert entries(company) == before


def test_malformed_datasets_are_rejected_one_by_one_with_a_reason(
    company: Company, supplier: Supplier
) -> None:
    supplier.publish(*(make_dataset(n) for n in range(41, 47)))
    good, other, nul, twice, stranger, no_offer = supplier.datasets
    other["urn:idb:dataset:1"]["rows_count"] = -1
    nul["urn:idb:dataset:1"]["title"]["ko"] = "널\x00"
    twice["urn:idb:dataset:1"]["name"] = good["urn:idb:dataset:1"]["name"]
    stranger["@id"] = "urn:uuid:another"
    no_offer["hasPolicy"] = [[]]
    supplier.datasets = [*supplier.datasets, "text", None, {}, json.loads(json.dumps(good))]
    seen = crawled(company)
    assert seen.error is None
    assert seen.datasets_count == 1
    assert len(seen.rejections) == 9
    assert all(rejection.reason for rejection in seen.rejections)


def test_a_dataset_id_stays_with_who_listed_it_first(
    broker: str, company: Company, supplier: Supplier
) -> None:
    supplier.publish(make_dataset(51))
    crawled(company)
    with running_supplier() as thief:
        port = thief.url.rpartition(":")[2]
        copycat = Company(broker, f"thief_{port}", thief.url)
        thief.publish(make_dataset(51))
        seen = crawled(copycat)
        assert seen.datasets_count == 0
        assert "another participant" in seen.rejections[0].reason


def test_a_revoked_participant_is_refused_at_once_and_everyone_is_told(
    broker: str, company: Company, supplier: Supplier
) -> None:
    supplier.publish(make_dataset(61))
    crawled(company)
    with running_supplier() as bystander:
        port = bystander.url.rpartition(":")[2]
        witness = Company(broker, f"witness_{port}", bystander.url)
        witness.join()
        body = {"participant_id": company.id, "reason": "계약 위반"}
        revoked = httpx.post(f"{broker}/participants/revocation", json=body, headers=ADMIN)
        assert revoked.json()["status"] == "revoked"
        told = [json.loads(b) for path, _, b in bystander.requests if path == "/registry/notices"]
        assert told == [{"participant_id": company.id}]
        assert entries(witness) == []
        tombstones = [e for e in feed(witness).entries if e.provider_id == company.id]
        assert [e.listing is None for e in tombstones] == [False, True]
    for method, path in (("POST", "/crawls"), ("GET", "/feed")):
        assert company.call(method, path).status_code == 401
    assert company.join().status_code == 403
    again = httpx.post(f"{broker}/participants/approval", json=body, headers=ADMIN)
    assert again.json()["status"] == "active"
    wait_until(lambda: entries(company)[-1][1], "the listing comes back")


def test_a_slow_receiver_does_not_hold_a_revocation_up(broker: str) -> None:
    with running_supplier() as slow, running_supplier() as victim:
        for index, one in enumerate((slow, victim)):
            port = one.url.rpartition(":")[2]
            Company(broker, f"party_{index}_{port}", one.url).join()
        slow.notice_seconds = 30
        body = {"participant_id": Company(broker, "x1", victim.url).id, "reason": "r"}
        answer = httpx.post(
            f"{broker}/participants/revocation", json=body, headers=ADMIN, timeout=10
        )
        assert answer.is_success
        assert answer.elapsed.total_seconds() < 3


STATUSES: Final = ("stranger", "pending", "active", "revoked")
ROUTES: Final = (("POST", "/crawls", 202), ("GET", "/feed", 200))


@pytest.mark.parametrize("status", STATUSES)
def test_only_active_participants_are_answered(tmp_path: Path, status: str) -> None:
    with running_broker(tmp_path, admission="approval") as broker:
        company = Company(broker, "matrix", "http://localhost:9")
        if status != "stranger":
            assert company.join().json()["status"] == "pending"
        body = {"participant_id": company.id, "reason": "r"}
        if status in {"active", "revoked"}:
            httpx.post(f"{broker}/participants/approval", json=body, headers=ADMIN)
        if status == "revoked":
            httpx.post(f"{broker}/participants/revocation", json=body, headers=ADMIN)
        for method, path, expected in ROUTES:
            answer = company.call(method, path)
            assert answer.status_code == (expected if status == "active" else 401), path
