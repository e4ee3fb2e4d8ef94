"""Time and peak memory of this process and every process under it, from /proc."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final, Self

SAMPLE_SECONDS: Final = 0.05
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Gauge:
    """Samples while open; where there is no /proc, ``peak_bytes`` stays 0."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gauge", daemon=True)

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    def __enter__(self) -> Self:
        """Begin to sample."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(os.getpid()))


def tree_bytes(root: int) -> int:
    """Return the resident memory of a process and its descendants; shared pages count for each."""
    parents, resident = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            pages = int((folder / "statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue  # it ended meanwhile
        pid = int(folder.name)
        parents[pid] = int(stat.rpartition(")")[2].split()[1])
        resident[pid] = pages * _PAGE_BYTES
    return sum(size for pid, size in resident.items() if _is_under(pid, root, parents))


def _is_under(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid != root:
        if pid not in parents:
            return False
        pid = parents[pid]
    return True
