"""Waiting for a negotiation or transfer process, and refusing what its state forbids."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.problem import ConflictError, NotFoundError

ValueT = TypeVar("ValueT")


def wait_for(
    runtime: Runtime,
    look: Callable[[UnitOfWork], ValueT | None],
    *,
    is_done: Callable[[ValueT], bool],
    seconds: float,
) -> ValueT:
    """Return what ``look`` finds once it is done, or as it is after ``seconds``.

    Raises:
        NotFoundError: It finds nothing.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = runtime.processes.count
        with runtime.database.unit_of_work() as uow:
            value = look(uow)
        if value is None:
            raise NotFoundError(ko="그런 절차가 없습니다.", en="There is no such process.")
        left = deadline - time.monotonic()
        if is_done(value) or left <= 0:
            return value
        runtime.processes.wait(seen, left)


def is_over(state: str) -> ConflictError:
    """Return the error for what a state does not allow."""
    return ConflictError(
        ko=f"지금 상태({state})에서는 할 수 없습니다.", en=f"Not possible in state {state}."
    )
