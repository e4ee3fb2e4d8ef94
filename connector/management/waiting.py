"""Waiting for a negotiation or transfer process, and refusing what its state forbids."""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from connector.runtime import Runtime
from databank.kit.app import stepping_aside
from databank.kit.db import UnitOfWork
from schemas.ids import ProcessId
from schemas.problem import ConflictError, NotFoundError

ValueT = TypeVar("ValueT")


def wait_for(
    runtime: Runtime,
    pid: ProcessId,
    look: Callable[[UnitOfWork], ValueT | None],
    *,
    is_done: Callable[[ValueT], bool],
    seconds: float,
) -> ValueT:
    """Return what ``look`` finds once it is done, or as it is after ``seconds``; blocks.

    Raises:
        NotFoundError: It finds nothing.
    """
    deadline = time.monotonic() + seconds
    changes: queue.SimpleQueue[ValueT] = queue.SimpleQueue()
    with runtime.processes.watched(pid, changes.put):
        value = _found(runtime, look)
        while not is_done(value) and (left := deadline - time.monotonic()) > 0:
            try:
                value = changes.get(timeout=left)
            except queue.Empty:
                break
    return value


async def wait_aside(
    request: Request,
    runtime: Runtime,
    pid: ProcessId,
    look: Callable[[UnitOfWork], ValueT | None],
    *,
    is_done: Callable[[ValueT], bool],
    seconds: float,
) -> ValueT:
    """Do as ``wait_for``, but hold neither a thread nor the request's place meanwhile.

    Raises:
        NotFoundError: ``look`` finds nothing.
    """
    changes: asyncio.Queue[ValueT] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def watch(value: ValueT) -> None:
        loop.call_soon_threadsafe(changes.put_nowait, value)

    with runtime.processes.watched(pid, watch):
        value: ValueT = await run_in_threadpool(lambda: _found(runtime, look))
        if is_done(value) or seconds <= 0:
            return value
        async with stepping_aside(request):
            try:
                async with asyncio.timeout(seconds):
                    while not is_done(value):
                        value = await changes.get()
            except TimeoutError:
                return value
    return value


def _found(runtime: Runtime, look: Callable[[UnitOfWork], ValueT | None]) -> ValueT:
    with runtime.database.unit_of_work() as uow:
        value = look(uow)
    if value is None:
        raise NotFoundError(ko="그런 절차가 없습니다.", en="There is no such process.")
    return value


def is_over(state: str) -> ConflictError:
    """Return the error for what a state does not allow."""
    return ConflictError(
        ko=f"지금 상태({state})에서는 할 수 없습니다.", en=f"Not possible in state {state}."
    )
