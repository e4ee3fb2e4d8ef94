"""One call at a data address, whose token counts once.

The token is looked at before the work and used up in the transaction that records it: one
commit instead of two. Meanwhile it is held here, so that a copy of it starts no work.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from connector.dataplane.access import Access, load
from connector.runtime import Runtime
from databank.kit.app import Caller, consume_token, require_unused_token
from databank.kit.db import UnitOfWork
from schemas.participant import Participant
from schemas.problem import NotAuthenticatedError
from schemas.token import Claims


class TokensInUse:
    """The tokens under which work is going on in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[tuple[str, str]] = set()

    @contextmanager
    def held(self, claims: Claims) -> Iterator[None]:
        """Hold a token inside the block.

        Raises:
            NotAuthenticatedError: Work is going on under the same token.
        """
        key = (claims.issuer, claims.jti)
        with self._lock:
            if key in self._held:
                raise NotAuthenticatedError(
                    ko="이 토큰으로 보낸 요청을 처리하고 있습니다. 호출마다 새 토큰을 쓰세요.",
                    en="A call under this token is at work. Use a new token for each call.",
                )
            self._held.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._held.remove(key)


@dataclass(slots=True)
class Visit:
    """A verified caller who wants to use a transfer process."""

    pid: str
    participant: Participant
    claims: Claims
    is_entered: bool = field(default=False, init=False)

    def look(self, uow: UnitOfWork) -> Access:
        """Return what stands behind the address, without using the token up.

        Raises:
            NotAuthenticatedError: The token was used, or is not the process's.
            NotFoundError: There is no such address for this caller.
        """
        require_unused_token(uow, self.claims)
        return self._load(uow)

    def enter(self, uow: UnitOfWork) -> None:
        """Use the token up, unless a transaction of this visit did.

        Raises:
            NotAuthenticatedError: It was used by another call.
        """
        if self.is_entered:
            return
        consume_token(uow, self.claims)
        uow.after_commit(self._set_entered)

    @contextmanager
    def under_way(self, runtime: Runtime) -> Iterator[Access]:
        """Look, then do the work inside the block; the token is used up whatever comes of it.

        Raises:
            As of ``look``.
        """
        with runtime.database.unit_of_work() as uow:
            access = self.look(uow)
        try:
            yield access
        except Exception:
            with runtime.database.unit_of_work() as uow:
                self.enter(uow)
            raise

    def open(self, uow: UnitOfWork) -> Access:
        """Use the token up and return what stands behind the address.

        Raises:
            NotAuthenticatedError: The token was used, or is not the process's.
            NotFoundError: There is no such address for this caller.
        """
        self.enter(uow)
        return self._load(uow)

    def _load(self, uow: UnitOfWork) -> Access:
        return load(uow, self.pid, Caller(self.participant, uow, self.claims.access_token))

    def _set_entered(self) -> None:
        self.is_entered = True
