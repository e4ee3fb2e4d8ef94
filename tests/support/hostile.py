"""Hostile requests: drawn from the routes' own descriptions, or made of good messages.

``check_refusal`` is what every answer has to keep: never an error of ours, and whoever is
refused has changed nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import httpx
from hypothesis import strategies as st
from sqlalchemy import Engine, inspect, text

OTHERS_AWAY: Final = {  # no other service runs in these tests, and saying so is right
    "urn:idb:problem:remote-unavailable",
    "urn:idb:problem:remote-refused",
}
OTHERS_AWAY_WORDS: Final = ("서비스가 응답하지 않습니다", "does not answer")
HTML: Final = "text/html; charset=utf-8"
# What is kept of a refused act on purpose, and what background threads move by themselves.
KEPT: Final = ("seen_token", "connector_decision", "connector_outbox", "clearing_evidence")
BAD_REQUEST: Final = 400
SERVER_ERROR: Final = 500
JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
EDGES: Final[list[Any]] = [
    *(None, True, 0, -1, 2**63, 2**64, 1e400),
    *("", " ", "\0", "\ud800", "a" * 5000, "😀"),
    *([], {}, [[]]),
]
SCALARS: Final = st.sampled_from(EDGES) | JSON


@dataclass(frozen=True)
class State:
    """What stands in a database; ``commits`` tells whether anything was written since, if known."""

    digest: str
    commits: int | None


_SEEN: Final[WeakKeyDictionary[Engine, State]] = WeakKeyDictionary()
_WATCHERS: Final[WeakKeyDictionary[Engine, sqlite3.Connection]] = WeakKeyDictionary()


class Target(Protocol):
    """A running service that requests are sent to."""

    @property
    def engine(self) -> Engine:
        """Its database."""

    def headers(self, path: str, *, is_known: bool) -> dict[str, str]:
        """Return the right authorization for a route, or a wrong one."""


@dataclass(frozen=True)
class Attack:
    """One request, ready to send."""

    method: str
    url: str
    headers: dict[str, Any]
    content: bytes


@contextmanager
def tally(kind: str) -> Iterator[Counter[int]]:
    """Count the answers to one kind of attack by their status, and report them at the end."""
    answers: Counter[int] = Counter()
    is_done = False
    try:
        yield answers
        is_done = True
    finally:
        if report := os.environ.get("DATABANK_HOSTILE_REPORT"):
            statuses = " ".join(f"{status}:{count}" for status, count in sorted(answers.items()))
            end = "ok" if is_done else "FAILED"
            with Path(report).open("a", encoding="utf-8") as file:
                file.write(f"{end} {answers.total()} {kind} ({statuses})\n")


def state_of(engine: Engine) -> State:
    """Return every table that a refusal must not change; read only if anything was written."""
    commits = _commits(engine)
    seen = _SEEN.get(engine)
    if seen is not None and commits is not None and seen.commits == commits:
        return seen
    _SEEN[engine] = State(_digest(engine), commits)
    return _SEEN[engine]


def _commits(engine: Engine) -> int | None:
    if engine.dialect.name != "sqlite":
        return None
    watcher = _WATCHERS.get(engine)
    if watcher is None:
        path = Path(str(engine.url.database)).resolve()
        watcher = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        _WATCHERS[engine] = watcher
    (version,) = watcher.execute("PRAGMA data_version").fetchone()
    return int(version)


def _digest(engine: Engine) -> str:
    digest = hashlib.sha256()
    with engine.connect() as connection:
        for table in sorted(inspect(connection).get_table_names()):
            if table in KEPT:
                continue
            rows = connection.execute(text(f'SELECT * FROM "{table}"'))
            digest.update(repr((table, sorted(map(repr, rows)))).encode())
    return digest.hexdigest()


def send(http: httpx.Client, attack: Attack, target: Target) -> httpx.Response | None:
    """Send a request and check its answer; None if it cannot be put on the wire."""
    before = state_of(target.engine)
    try:
        answer = http.request(
            attack.method, attack.url, headers=attack.headers, content=attack.content
        )
    except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
        return None
    check_refusal(answer)
    if answer.status_code >= BAD_REQUEST:
        after = state_of(target.engine)
        assert after.digest == before.digest, f"refused, but changed: {answer.text}"
    return answer


def check_refusal(answer: httpx.Response) -> None:
    """Check that an answer is not an error of ours, and that an error says what is wrong."""
    if answer.status_code >= SERVER_ERROR and answer.headers["content-type"] == HTML:
        assert any(words in answer.text for words in OTHERS_AWAY_WORDS), answer.text
    elif answer.status_code >= SERVER_ERROR:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        assert answer.json()["type"] in OTHERS_AWAY, answer.text
    elif answer.status_code >= BAD_REQUEST and answer.request.method != "HEAD":
        assert "Traceback" not in answer.text
        if answer.headers.get("content-type", "").endswith("json"):
            assert answer.json(), answer.request.url


def as_content(value: Any) -> bytes:
    """Return JSON as another implementation might write it: also what JSON does not allow."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(child, (*path, key))


def _changed(value: Any, path: tuple[Any, ...], change: Any) -> Any:
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(copy[path[0]], path[1:], change)
    return copy


def _without(value: Any, path: tuple[Any, ...]) -> Any:
    if len(path) == 1:
        copy = dict(value) if isinstance(value, dict) else list(value)
        del copy[path[0]]
        return copy
    return _changed(value, path[:1], lambda child: _without(child, path[1:]))


@st.composite
def mutations(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    """Draw bytes that differ from a good message in one to three places."""
    value: Any = message
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(_paths(value))))
        kind = draw(st.sampled_from(["replace", "delete", "wrap", "add"]))
        if kind == "delete" and path:
            value = _without(value, path)
        elif kind == "wrap":
            value = _changed(value, path, lambda child: [child])
        elif kind == "add":
            extra = draw(st.tuples(st.text(max_size=10), SCALARS))
            value = _changed(
                value, path, lambda c, e=extra: {**c, e[0]: e[1]} if isinstance(c, dict) else e[1]
            )
        else:
            new = draw(SCALARS)
            value = _changed(value, path, lambda _, new=new: new)
    raw = as_content(value)
    cut = draw(st.none() | st.integers(0, len(raw)))
    return raw if cut is None or draw(st.integers(0, 9)) else raw[:cut]
