"""Mutated hostile SQL against the gate, judged by engines with open doors and planted canaries.

``DATABANK_LONG_TESTS=1`` draws a million statements, or as many as ``DATABANK_FUZZ_STATEMENTS``
says, from the seed ``DATABANK_FUZZ_SEED``; else a bounded part. The attempts of
``shared/security`` are among the seeds where they lie beside the checkout.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.shared import ROOT, is_shared, shared
from tests.support.sqlfuzz import ATTACKS, Arena, honest, read_corpus

LONG: Final = bool(os.environ.get("DATABANK_LONG_TESTS"))
STATEMENTS: Final = int(
    os.environ.get("DATABANK_FUZZ_STATEMENTS") or (1_000_000 if LONG else 4_000)
)
SEED: Final = int(os.environ.get("DATABANK_FUZZ_SEED") or 20_261_124)
CHUNK: Final = 20_000
STUCK_SECONDS: Final = 120.0  # without progress: the child is killed, as a worker would be
HONEST: Final = 500
POLL_SECONDS: Final = 0.2


@dataclass
class Hunt:
    """What became of the statements."""

    counts: Counter[str] = field(default_factory=Counter)
    found: list[dict[str, Any]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)  # statements that ended the child, or hung in it


def hunt(folder: Path, *, seed: int, count: int) -> Hunt:
    """Show statements 0 to ``count`` to the gate, in children that may die of what passes."""
    whole, first = Hunt(), 0
    while first < count:
        chunk = min(CHUNK, count - first)
        place = folder / f"from-{first}"
        place.mkdir()
        done = _run(place, folder / "progress", seed=seed, first=first, count=chunk)
        if done is None:
            whole.ended.append(int((folder / "progress").read_text(encoding="ascii")))
            whole.counts["statements"] += whole.ended[-1] - first + 1
            first = whole.ended[-1] + 1
            continue
        whole.counts.update(done["counts"])
        whole.found += done["found"]
        first += chunk
        print(seed, first, dict(whole.counts), whole.found, whole.ended, flush=True)  # noqa: T201
    return whole


def _run(
    place: Path, progress: Path, *, seed: int, first: int, count: int
) -> dict[str, Any] | None:
    numbers = {"--seed": seed, "--first": first, "--count": count}
    command = [sys.executable, "-m", "tests.support.sqlfuzz", "--folder", str(place)]
    command += ["--progress", str(progress)]
    command += [word for name, value in numbers.items() for word in (name, str(value))]
    if is_shared("security", "escape_corpus.sql"):
        command += ["--corpus", str(shared("security", "escape_corpus.sql"))]
    with (place.parent / "answer.json").open("w+b") as answer:
        child = subprocess.Popen(
            command, stdout=answer, stderr=subprocess.DEVNULL, cwd=ROOT, start_new_session=True
        )
        seen, since = "", time.monotonic()
        while _is_running(child):
            now = progress.read_text(encoding="ascii") if progress.exists() else ""
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STUCK_SECONDS:
                os.killpg(child.pid, signal.SIGKILL)
        if child.returncode != 0:
            return None
        answer.seek(0)
        done: dict[str, Any] = json.load(answer)
        return done


def _is_running(child: subprocess.Popen[bytes]) -> bool:
    """Wait a moment for its end; return whether it goes on."""
    try:
        child.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def test_no_mutated_statement_that_passes_the_gate_reaches_anything(tmp_path: Path) -> None:
    done = hunt(tmp_path, seed=SEED, count=STATEMENTS)
    assert done.counts["statements"] == STATEMENTS
    assert done.counts["passed"] > STATEMENTS / 100  # else the mutations are too wild to tell
    assert done.found == []
    assert done.ended == []


def test_without_the_gate_the_same_oracle_sees_the_canaries(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for number in range(len(ATTACKS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        arena = Arena(folder)
        filled = read_corpus(None, folder)[number]
        assert not arena.passes(filled), filled
        reached = arena.reached(filled)
        if reached is None and arena.is_changed():
            reached = "state"
        seen[str(reached)] += 1
        arena.close()
    assert seen["token"] >= 12
    assert seen["state"] >= 5
    assert seen["difference"] >= 2, seen


def test_honest_queries_pass_the_gate_and_run(tmp_path: Path) -> None:
    arena, chance = Arena(tmp_path), random.Random(SEED)
    refused = [sql for sql in (honest(chance) for _ in range(HONEST)) if not arena.passes(sql)]
    assert refused == []
    chance = random.Random(SEED)
    for _ in range(HONEST // 5):
        sql = honest(chance)
        assert arena.reached(sql) is None
        assert arena.engine.sql(sql) is not None
    assert not arena.is_changed()
    arena.close()


def test_the_oracle_sees_what_is_only_inferred(tmp_path: Path) -> None:
    arena = Arena(tmp_path)
    for inferred in (
        "SELECT count(*) FROM other_secret",
        "SELECT n FROM asset WHERE n IN (FROM other_secret SELECT n)",
        "SELECT 1 / (SELECT count(*) - 1 FROM other_secret)",
    ):
        assert arena.reached(inferred) == "difference"
    assert arena.reached("SELECT now(), count(*) FROM asset") is None
    arena.close()
