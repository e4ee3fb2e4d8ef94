"""Who gets in at the desk, for how long, and whose forms are taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from connector.app import create_app
from connector.desk.frame import cookie_name
from connector.desk.session import FAILURE_SECONDS, FAILURES_MAX, SESSION_SECONDS, SESSIONS_MAX
from connector.settings import ConnectorSettings
from tests.support.connectors import MovedClock, Registry, Running, connector, publish
from tests.support.desk import Person, signed_in
from tests.support.serve import serve

PAGES = (
    "",
    "/negotiations",
    "/negotiations/urn:uuid:1",
    "/negotiations/urn:uuid:1/acceptance",
    "/agreements",
    "/agreements/urn:uuid:1",
    "/agreements/urn:uuid:1/termination",
    "/datasets",
)
ACTIONS = (
    "/sign-out",
    "/negotiations/urn:uuid:1/acceptance",
    "/negotiations/urn:uuid:1/counter",
    "/negotiations/urn:uuid:1/refusal",
    "/negotiations/urn:uuid:1/termination",
    "/agreements/urn:uuid:1/termination",
    "/datasets/urn:uuid:1/approval",
)


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def company(tmp_path: Path, clock: MovedClock) -> Iterator[Running]:
    with connector(tmp_path, Registry(), "company", clock=clock) as running:
        yield running


@pytest.fixture
def person(company: Running) -> Iterator[Person]:
    with Person(company) as somebody:
        yield somebody


def set_cookie(answer: httpx.Response) -> dict[str, str]:
    """Return the parts of a session cookie; flags are empty."""
    [said] = [c for c in answer.headers.get_list("set-cookie") if c.startswith("desk_")]
    parts = (part.strip().partition("=") for part in said.split(";"))
    return {name.lower(): value for name, _, value in parts}


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in_and_back(company: Running) -> None:
    token = company.app.state.context.admin_token
    for path in PAGES:
        with Person(company) as person:
            asked = person.http.get(f"/desk{path}", follow_redirects=False)
            assert asked.status_code == 303, path
            assert asked.headers["location"].startswith("/desk/sign-in?to=")
            page = person.look(path)
            assert page.forms["sign-in"].values["to"] == [f"/desk{path}"]
            back = person.submit(page, "sign-in", token=token)
            assert back.answer.url.path == f"/desk{path}"


def test_no_form_is_taken_of_whoever_is_not_signed_in(person: Person) -> None:
    for path in ACTIONS:
        page = person.send(f"/desk{path}", {"csrf_token": "x", "rounds_count": "1"})
        assert page.status == 401, path
        assert "처리되지 않았습니다" in page.text
        assert "sign-in" in page.forms


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    person: Person, company: Running
) -> None:
    token = company.app.state.context.admin_token
    answer = person.http.post("/desk/sign-in", data={"token": token}, follow_redirects=False)
    cookie = set_cookie(answer)
    assert {"httponly", "samesite", "path", "max-age"} <= set(cookie)
    assert (cookie["samesite"], cookie["path"]) == ("strict", "/desk")
    assert int(cookie["max-age"]) == SESSION_SECONDS
    assert "secure" not in cookie  # this machine only, without TLS
    assert token not in str(answer.headers)


def test_the_cookie_travels_by_tls_only_unless_the_connector_is_on_this_machine(
    tmp_path: Path,
) -> None:
    apps: list[FastAPI] = []

    def make(port: int) -> FastAPI:
        settings = ConnectorSettings(
            data_dir=tmp_path, port=port, public_url="https://garam.example", identity="registry"
        )
        apps.append(create_app(settings, lookup=Registry().find))
        return apps[0]

    with serve(make) as url, httpx.Client(base_url=url, trust_env=False) as http:
        token = apps[0].state.context.admin_token
        signed = http.post("/desk/sign-in", data={"token": token})
        assert "secure" in set_cookie(signed)
        told = http.get(signed.headers["location"])  # the client keeps it for TLS
        assert "https" in told.text
        assert "쿠키" in told.text


def test_connectors_of_one_host_do_not_sign_each_other_out(
    company: Running, tmp_path: Path
) -> None:
    with (
        connector(tmp_path / "other", Registry(), "other") as other,
        signed_in(company) as here,
        Person(other) as there,
    ):
        assert cookie_name(company.runtime.did) != cookie_name(other.runtime.did)
        there.http.cookies = here.http.cookies  # a browser shares them among ports
        there.sign_in()
        assert here.look().answer.url.path == "/desk"
        assert there.look().answer.url.path == "/desk"


def test_a_session_ends_with_the_sign_out_even_for_a_copy_of_the_cookie(company: Running) -> None:
    with signed_in(company) as person, Person(company) as thief:
        thief.http.cookies.update(dict(person.http.cookies))
        assert thief.look().answer.url.path == "/desk"
        left = person.submit(person.look(), "sign-out")
        assert "로그아웃했습니다" in left.text
        assert thief.look().answer.url.path == "/desk/sign-in"
        assert person.look().answer.url.path == "/desk/sign-in"


def test_a_session_ends_with_the_working_day(company: Running, clock: MovedClock) -> None:
    with signed_in(company) as person:
        clock.ahead += timedelta(seconds=SESSION_SECONDS - 5)
        assert person.look().answer.url.path == "/desk"
        clock.ahead += timedelta(seconds=10)
        assert person.look().answer.url.path == "/desk/sign-in"


def test_the_oldest_of_too_many_sessions_makes_room(company: Running) -> None:
    sessions = company.app.state.desk_sessions
    first, *others = [sessions.open() for _ in range(SESSIONS_MAX + 1)]
    assert sessions.find(first) is None
    assert all(sessions.find(secret) for secret in others)


def test_a_wrong_token_is_said_to_be_wrong(person: Person) -> None:
    tokens = ["", "관리", "\ud83d", "x" * 10_000, "\0"]
    assert len(tokens) <= FAILURES_MAX
    for token in tokens:
        page = person.send("/desk/sign-in", {"token": token})
        assert page.status == 401, token
        assert "관리 토큰이 맞지 않습니다" in page.text
        assert not person.http.cookies


def test_guessing_has_to_wait_and_nobody_is_locked_out_for_long(
    person: Person, clock: MovedClock
) -> None:
    for _ in range(FAILURES_MAX):
        assert person.sign_in("wrong").status == 401
    refused = person.sign_in()  # even the right one: a guesser learns nothing
    assert refused.status == 429
    assert refused.answer.headers["retry-after"] == "60"
    assert "1분 뒤에" in refused.text
    clock.ahead += timedelta(seconds=FAILURE_SECONDS + 1)
    assert person.sign_in().answer.url.path == "/desk"


def test_the_sign_in_leads_to_the_desk_and_nowhere_else(company: Running) -> None:
    token = company.app.state.context.admin_token
    for target in (
        "https://evil.example",
        "//evil.example/desk/",
        "/management/join",
        "/desk/sign-in",
        "/desk/\r\nSet-Cookie: a=b",
        "",
        "\\",
    ):
        with Person(company) as person:
            page = person.look("/sign-in", params={"to": target})
            answer = person.submit(page, "sign-in", token=token, to=target).answer
            assert answer.url.host == "localhost"
            assert answer.url.path.startswith("/desk"), target
            assert "a" not in person.http.cookies


def test_a_form_counts_only_with_the_secret_of_its_session(company: Running) -> None:
    published = publish(company.runtime, "energy")
    action = f"/desk/datasets/{published.dataset.id}/approval"
    with signed_in(company) as person, signed_in(company) as other:
        foreign = other.look("/datasets").forms["approval"].values["csrf_token"]
        for token in ({}, {"csrf_token": ""}, {"csrf_token": foreign}, {"csrf_token": "한"}):
            page = person.send(action, {"approval": "manual", **token})
            assert page.status == 403, token
            assert "처리되지 않았습니다" in page.text
        own = person.look("/datasets").forms["approval"].values
        sent = {**own, "approval": "manual"}
        for site in ("cross-site", "same-site"):
            page = person.send(action, sent, headers={"Sec-Fetch-Site": site})
            assert page.status == 403
        as_text = person.http.post(action, content=b"approval=manual")
        assert as_text.status_code == 422
        approvals = company.manage("GET", "/publications").json()["publications"]
        assert [p["approval"] for p in approvals] == ["automatic"]
        done = person.send(action, sent, headers={"Sec-Fetch-Site": "same-origin"})
        assert "승인 방식을 바꾸었습니다" in done.text


def test_a_foreign_page_cannot_sign_anybody_in(person: Person) -> None:
    page = person.sign_in(headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status == 403
    assert not person.http.cookies


def test_pages_allow_no_script_are_not_kept_and_load_nothing_from_elsewhere(
    company: Running,
) -> None:
    with signed_in(company) as person:
        for path in ("", "/sign-in", "/nope", "/negotiations/nope"):
            headers = person.look(path).answer.headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src" not in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
        for name in ("page.css", "desk.css"):
            css = person.http.get(f"/desk/static/{name}")
            assert css.headers["content-type"].startswith("text/css")
            assert "url(" not in css.text


def test_the_admin_token_itself_opens_no_page(company: Running) -> None:
    token = company.app.state.context.admin_token
    answer = company.http.get(
        f"{company.url}/desk/negotiations", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 303


def test_a_session_opens_no_management_route(company: Running) -> None:
    with signed_in(company) as person:
        assert person.http.get("/management/inbox").status_code == 401
