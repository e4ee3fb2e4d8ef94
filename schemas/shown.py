"""Texts and times of others as people are shown them, whatever they hold."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

SEOUL: Final = ZoneInfo("Asia/Seoul")


def clean_text(text: str) -> str:
    """Take characters out of a text that would steer the page around it.

    Direction marks can show a text in another order than it is read; controls have no picture.
    """
    return "".join(c for c in text if c in "\n\t" or not unicodedata.category(c).startswith("C"))


def in_seoul(time: datetime) -> datetime:
    """Return a time as clocks in Korea show it; the last hours of the calendar stay in UTC."""
    try:
        return time.astimezone(SEOUL)
    except OverflowError:
        return time
