"""What the kit's log says: its process ends with 0 whatever has happened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TESTS: Final = 65  # that are enabled in the release that pom.xml names
_LINES: Final = re.compile(r"(SUCCESSFUL|FAILED|ABORTED): |(Passed|Failed|Skipped) tests: ")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The kit's own count; None where it did not come so far."""

    passed: int | None
    failed: int | None
    said: tuple[str, ...]

    @property
    def is_conformant(self) -> bool:
        """Whether every test ran and passed."""
        return self.passed == TESTS and self.failed == 0


def read_verdict(log: str) -> Verdict:
    """Read the kit's log."""
    said = tuple(line.strip() for line in log.splitlines() if _LINES.search(line))
    return Verdict(_count("Passed", log), _count("Failed", log), said)


def _count(what: str, log: str) -> int | None:
    found = re.findall(rf"{what} tests: (\d+)", log)
    return int(found[-1]) if found else None
