"""Who is signed in at the desk: random secrets in memory, for a working day at most.

A restart signs everybody out. The cookie holds the secret; here only its hash is kept. Each
session has a second secret that every form carries, so that no other site can send one.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from databank.kit.clock import Clock, IdMaker
from schemas.problem import ProblemError
from schemas.wire import Text

SESSION_SECONDS: Final = 8 * 3600
SESSIONS_MAX: Final = 100  # the one that was opened first makes room
FAILURES_MAX: Final = 5  # wrong tokens from one address, then it has to wait
FAILURE_SECONDS: Final = 60.0
ADDRESSES_MAX: Final = 1000


class TooManyAttemptsError(ProblemError):
    """Too many wrong admin tokens from one address."""

    slug = "too-many-attempts"
    title = Text(ko="로그인 시도가 너무 많습니다", en="Too many attempts to sign in")
    status = 429


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser."""

    csrf_token: str
    ends_at: datetime


class Sessions:
    """The sessions of one connector."""

    def __init__(self, clock: Clock, make_secret: IdMaker) -> None:
        self._clock = clock
        self._make_secret = make_secret
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._failures: OrderedDict[str, list[datetime]] = OrderedDict()

    def open(self) -> str:
        """Begin a session; return its secret, for the cookie."""
        secret = self._make_secret()
        ends_at = self._clock() + timedelta(seconds=SESSION_SECONDS)
        with self._lock:
            self._open[_digest(secret)] = Session(self._make_secret(), ends_at)
            while len(self._open) > SESSIONS_MAX:
                self._open.popitem(last=False)
        return secret

    def find(self, secret: str | None) -> Session | None:
        """Return the session with this secret, if it has not ended."""
        if not secret:
            return None
        with self._lock:
            session = self._open.get(_digest(secret))
        if session is None or session.ends_at <= self._clock():
            return None
        return session

    def close(self, secret: str | None) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(_digest(secret or ""), None)

    def check_attempts(self, address: str) -> None:
        """Let an address try a token.

        Raises:
            TooManyAttemptsError: It has tried too many wrong ones just now.
        """
        with self._lock:
            is_blocked = len(self._recent(address)) >= FAILURES_MAX
        if is_blocked:
            raise TooManyAttemptsError(
                ko="관리 토큰이 여러 번 틀렸습니다. 1분 뒤에 다시 시도하세요.",
                en="The admin token was wrong several times. Try again in a minute.",
            )

    def note_failure(self, address: str) -> None:
        """Remember that an address has tried a wrong token."""
        with self._lock:
            self._failures[address] = [*self._recent(address), self._clock()]
            self._failures.move_to_end(address)
            while len(self._failures) > ADDRESSES_MAX:
                self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[datetime]:
        since = self._clock() - timedelta(seconds=FAILURE_SECONDS)
        return [time for time in self._failures.get(address, ()) if time > since]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
