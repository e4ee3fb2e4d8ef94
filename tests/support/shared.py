"""Where real data and official schemas lie: beside the checkout, never in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _path(*parts: str) -> Path:
    folder = Path(os.environ.get("DATABANK_SHARED") or ROOT.parent / "shared")
    return folder.joinpath(*parts)


def is_shared(*parts: str) -> bool:
    """Whether the shared folder has it."""
    return _path(*parts).exists()


def shared(*parts: str) -> Path:
    """Return a path in the shared folder, or skip the test where there is none."""
    path = _path(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)} in the folder `shared` beside the checkout")
    return path
