"""Calls that do no harm twice are repeated with the same content; others are not."""

from __future__ import annotations

import httpx
import pytest

from databank.client.api import ATTEMPTS_MAX, Api
from databank.kit.http import RemoteRefusedError
from schemas.problem import RemoteUnavailableError


def _api(outcomes: list[httpx.Response | Exception], seen: list[bytes]) -> Api:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.read())
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Api("http://localhost:1", "t", http)


def test_a_lost_answer_is_asked_for_again_with_the_same_query_id() -> None:
    seen: list[bytes] = []
    retryable = httpx.Response(503, json={"retryable": True})
    api = _api([httpx.ReadError("lost"), retryable, httpx.Response(200, json={})], seen)
    assert api.repeat("POST", "/q", json={"query_id": "one"}) == {}
    assert len(seen) == 3
    assert len(set(seen)) == 1


def test_a_refusal_is_not_asked_for_again() -> None:
    seen: list[bytes] = []
    api = _api([httpx.Response(403, json={"detail": "안 됩니다"})], seen)
    with pytest.raises(RemoteRefusedError):
        api.repeat("POST", "/q", json={})
    assert len(seen) == 1


def test_nobody_is_asked_for_ever() -> None:
    seen: list[bytes] = []
    api = _api([httpx.ConnectError("no") for _ in range(9)], seen)
    with pytest.raises(RemoteUnavailableError):
        api.get("/x")
    assert len(seen) == ATTEMPTS_MAX


def test_a_post_that_may_have_acted_is_sent_once() -> None:
    seen: list[bytes] = []
    api = _api([httpx.ReadError("lost")], seen)
    with pytest.raises(RemoteUnavailableError):
        api.post("/x", {})
    assert len(seen) == 1
