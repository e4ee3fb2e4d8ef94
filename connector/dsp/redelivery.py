"""Whether a message came before: at-least-once delivery, so every peer repeats itself.

A message with an ``@id`` is the same when all of it is. One without can be said twice and
mean it, such as a second suspension; it is a repetition only where the state forbids it.
The same words under another ``@id`` are a new message, unless they can be said only once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from connector.dsp.store import note_received
from databank.kit.db import UnitOfWork
from schemas.canonical import digest
from schemas.ids import ProcessId

CODE_CHARS_MAX: Final = 100


class Seen(StrEnum):
    """What is known of a message."""

    NEW = "new"
    CONTENT = "content"  # the same was said, perhaps under another id
    MESSAGE = "message"  # this very message was acted on


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it was sent, and the digests that recognise it when it comes again."""

    raw: dict[str, Any]
    sha256: str
    content_sha256: str

    @property
    def has_id(self) -> bool:
        """Whether its sender tells its messages apart."""
        return "@id" in self.raw


def received_from(raw: dict[str, Any], body: bytes) -> Received:
    """Return a message with its digests."""
    content = {name: value for name, value in raw.items() if name != "@id"}
    return Received(raw, hashlib.sha256(body).hexdigest(), f"content:{digest(content)}")


def note(uow: UnitOfWork, pid: ProcessId, received: Received) -> Seen:
    """Note a message of a process, and say what was known of it."""
    is_message_new = note_received(uow, pid, received.sha256)
    is_content_new = note_received(uow, pid, received.content_sha256)
    if not is_message_new and received.has_id:
        return Seen.MESSAGE
    return Seen.NEW if is_content_new else Seen.CONTENT


def is_repetition(seen: Seen, received: Received, *, is_said_once: bool) -> bool:
    """Whether a message that the state forbids is only an earlier one again."""
    return seen is Seen.CONTENT and (is_said_once or not received.has_id)


def code_in(received: Received) -> str | None:
    """Return the machine's word for why something ends, as its sender wrote it."""
    code = received.raw.get("code")
    return code[:CODE_CHARS_MAX] if isinstance(code, str) and code else None
