"""The checkout as the architecture tests see it."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("broker", "catalog", "clearing", "connector", "databank", "schemas")
SERVICES: Final = ("broker", "catalog", "clearing", "connector")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file; ``name`` is its path from the root."""

    name: str
    text: str
    tree: ast.Module

    @property
    def stem(self) -> str:
        """The module's own name."""
        return Path(self.name).stem

    @property
    def package(self) -> str:
        """The top-level folder."""
        return self.name.split("/", maxsplit=1)[0]


@cache
def tracked() -> tuple[str, ...]:
    """Return every file that is or could be committed, as paths from the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = sorted(set(done.stdout.split("\0")) - {""})
    return tuple(name for name in names if (ROOT / name).is_file())


@cache
def sources() -> tuple[Source, ...]:
    """Return our Python files, but for migrations, which alembic writes."""
    return tuple(_read(name) for name in tracked() if _is_ours(name))


def _is_ours(name: str) -> bool:
    is_inside = name.split("/", maxsplit=1)[0] in {*PACKAGES, "tests", "tools"}
    return is_inside and name.endswith(".py") and "/migrations/" not in name


def _read(name: str) -> Source:
    text = (ROOT / name).read_text(encoding="utf-8")
    return Source(name, text, ast.parse(text, name))


def product() -> Iterator[Source]:
    """Return the sources of the six packages."""
    return (source for source in sources() if source.package in PACKAGES)


def sources_of_tests() -> Iterator[Source]:
    """Return the sources of the tests."""
    return (source for source in sources() if source.package == "tests")
