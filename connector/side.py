"""The two sides of a negotiation, an agreement and a transfer process."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Who does or sends something; also our own side of a process."""

    CONSUMER = "consumer"
    PROVIDER = "provider"

    @property
    def other(self) -> Side:
        """The counterparty's side."""
        return Side.PROVIDER if self is Side.CONSUMER else Side.CONSUMER


class IllegalTransitionError(Exception):
    """A message came that the current state does not allow; the process is unchanged."""
