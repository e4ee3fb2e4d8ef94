"""What a test needs from the machine: absent means skipped at home and failed in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str, *, install: str) -> NoReturn:
    """Skip the test, or fail it where ``CI`` is set and nothing may be missing."""
    reason = f"needs {what}: run {install}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
