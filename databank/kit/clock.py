"""Time and fresh ids, as arguments: the only place that asks the machine for either."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import uuid_utils

Clock: TypeAlias = Callable[[], datetime]
IdMaker: TypeAlias = Callable[[], str]


def system_clock() -> datetime:
    """Return the machine's time, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one clock


def new_urn() -> str:
    """Return a fresh time-ordered ``urn:uuid:`` (UUIDv7, RFC 9562)."""
    return f"urn:uuid:{uuid_utils.uuid7()}"


def new_secret() -> str:
    """Return 256 fresh random bits in base64url."""
    return secrets.token_urlsafe(32)
