"""Who answers when others ask for a dataset: a rule, or people."""

from __future__ import annotations

from enum import StrEnum


class Approval(StrEnum):
    """How a supplier answers requests for one of its datasets."""

    AUTOMATIC = "automatic"  # the offer as it stands is agreed to, anything else refused
    NEGOTIABLE = "negotiable"  # the offer as it stands is agreed to, anything else waits
    MANUAL = "manual"  # every request waits for somebody's answer
