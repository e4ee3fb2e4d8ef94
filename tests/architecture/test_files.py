"""What may stand in a committed file."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

import pytest

from tests.architecture.sources import ROOT, tracked

# Written in pieces, so that this file does not hold what it forbids.
MACHINE_PATHS: Final = ("/wo" + "rk/", "/tmp/" + "wt", "/ro" + "ot/", "/ho" + "me/")
REGISTRIES: Final = (
    "py" + "pi.org",
    "pythonhos" + "ted.org",
    "registry.npm" + "js.org",
    "repo.ma" + "ven",
    "crat" + "es.io",
    "deb.deb" + "ian.org",
)
STRANGERS: Final = re.compile(r"(pip|uv|pipx|uvx) (tool )?(install|add|run) databank\b")
FORBIDDEN: Final = (*MACHINE_PATHS, *REGISTRIES)
LOCKS: Final = ("requirements.lock", "requirements-runtime.lock", "requirements-build.lock")
FILE_BYTES_MAX: Final = 1_000_000


def texts() -> dict[str, str]:
    found = {}
    for name in tracked():
        raw = (ROOT / name).read_bytes()
        if b"\0" not in raw[:8192]:
            found[name] = raw.decode("utf-8", "replace")
    return found


@pytest.mark.parametrize("word", FORBIDDEN)
def test_no_file_names_this_machine_or_a_registry(word: str) -> None:
    assert [name for name, text in texts().items() if word in text] == []


def test_no_file_installs_a_strangers_package_of_our_name() -> None:
    assert [name for name, text in texts().items() if STRANGERS.search(text)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_pin_hashes_and_name_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS[1:])
def test_the_smaller_locks_are_parts_of_the_full_one(lock: str) -> None:
    full, part = (
        set(re.findall(r"^[a-z0-9.-]+==[^ ;]+", text, re.MULTILINE))
        for text in [(ROOT / name).read_text(encoding="utf-8") for name in (LOCKS[0], lock)]
    )
    assert part < full


def test_files_are_small_and_are_not_links_out_of_the_checkout() -> None:
    too_large = [name for name in tracked() if (ROOT / name).stat().st_size > FILE_BYTES_MAX]
    links = [name for name in tracked() if (ROOT / name).is_symlink()]
    assert too_large == []
    assert links == []


def test_nothing_generated_or_secret_is_committed() -> None:
    bad = {".pyc", ".db", ".arrow", ".pem", ".key", ".log", ".egg-info"}
    suffixes = {name: PurePosixPath(name).suffix for name in tracked()}
    outside_tests = {n: s for n, s in suffixes.items() if not n.startswith("tests/")}
    assert [name for name, suffix in outside_tests.items() if suffix in bad] == []
