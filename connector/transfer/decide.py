"""What we say next in a transfer process: the seam where a company decides, and the default.

A decider is asked once after each message of the counterparty. It answers at once, or not
at all: then the process stays as it is, and whoever decides later calls ``service.act``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from connector.side import Side
from connector.transfer.machine import Message, State
from connector.transfer.model import TransferProcess


@dataclass(frozen=True, slots=True)
class Move:
    """A message of ours; ``reason`` and ``code`` go with a suspension or a termination."""

    message: Message
    reason: str = ""
    code: str | None = None


class Decider(Protocol):
    """Decides in the name of one company."""

    def next_move(self, process: TransferProcess) -> Move | None:
        """Return our answer to what the counterparty has just said, or None for nothing.

        The transaction that received the message is open: no calls to others from here.
        """


class AutomaticDecider:
    """Starts what an agreement's consumer asks for, and leaves every end to people."""

    def next_move(self, process: TransferProcess) -> Move | None:
        """Return the start that a requested process waits for."""
        is_asked = process.side is Side.PROVIDER and process.state is State.REQUESTED
        return Move(Message.START) if is_asked else None
