"""The thread that sees to it that published files have their engine copies.

It looks at the data folder at the start and whenever a file was published. A file that could
not be copied is queried as it is, and tried again after a restart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import structlog

from connector.dataplane.copy import copy_of
from connector.runtime import Runtime

COPIED_BYTES_MIN: Final = 8 * 2**20  # a smaller file is asked as fast as it is
SLEEP_SECONDS: Final = 600.0
NICE: Final = 10  # queries come first
log = structlog.get_logger()


class CopyKeeper:
    """Makes one connector's engine copies until stopped."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._seen: set[Path] = set()
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-copies", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Give up the copy under way, then return."""
        with self._lock:
            self._stop.set()
            if self._child is not None:
                self._child.kill()
        self._runtime.copies.give()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            count = self._runtime.copies.count
            try:
                self._look()
            except Exception:  # the loop outlives a folder that is away for a moment
                log.exception("copies_not_made")
            self._runtime.copies.wait(count, SLEEP_SECONDS)

    def _look(self) -> None:
        for file in sorted(self._runtime.data_folder.glob("*.arrow")):
            if self._stop.is_set():
                return
            if file in self._seen or file.stat().st_size < COPIED_BYTES_MIN:
                continue
            self._seen.add(file)
            self._make(file)

    def _make(self, file: Path) -> None:
        settings = self._runtime.settings
        job = {"file": str(file.resolve()), "memory_bytes": settings.check_memory_bytes}
        with self._lock:
            if self._stop.is_set():
                return
            self._child = subprocess.Popen(  # noqa: S603 - our own module, a path that we made
                [sys.executable, "-m", "connector.dataplane.copy", json.dumps(job)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=_be_nice,  # noqa: PLW1509 - one call into the kernel, no lock
            )
        try:
            code: int | None = self._child.wait(settings.check_seconds_max)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            code = None
        with self._lock:
            self._child = None
        if code != 0 and not self._stop.is_set():
            log.warning("copy_not_made", file=file.name, code=code)
        elif code == 0:
            log.info("copy_made", file=copy_of(file).name)


def _be_nice() -> None:
    os.nice(NICE)
