"""What follows when the counterparty has refused a message for good and shown its state."""

from __future__ import annotations

from enum import StrEnum


class Remedy(StrEnum):
    """How both sides come to hold the same again."""

    NONE = "none"  # nothing is amiss, or what heals it is on its way
    AGAIN = "again"  # say it again, later
    ADOPT = "adopt"  # it is over at the counterparty: hold what it holds
    END = "end"  # end the process and tell the counterparty
