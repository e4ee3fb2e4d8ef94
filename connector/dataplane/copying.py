"""The thread that sees to it that published files have their engine copies, and no others do.

It looks at the data folder at the start, whenever a file was published, and once a minute. A
copy is kept while its dataset is on offer or under a running agreement. A file that could not
be copied, or whose copies went bad too often, is queried as it is until the connector restarts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Final

import structlog

from connector.agreement import store as agreements
from connector.dataplane.copy import PARTIALS, SUFFIX, copy_of, number_of, remove
from connector.offering import store as offerings
from connector.relation import store as relations
from connector.runtime import Runtime
from connector.side import Side

COPIED_BYTES_MIN: Final = 8 * 2**20  # a smaller file is asked as fast as it is
SLEEP_SECONDS: Final = 60.0
BAD_MAX: Final = 3  # copies of one file; then the disk is at fault, or the engine
NICE: Final = 10  # queries come first
log = structlog.get_logger()


class CopyKeeper:
    """Makes, mends and removes one connector's engine copies until stopped."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settled: set[Path] = set()  # files whose copies were made or looked at here
        self._given_up: set[Path] = set()
        self._bad: Counter[Path] = Counter()
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

    def replace(self, file: Path, number: int) -> None:
        """Remove a copy that could not be read where its file could; it is made anew."""
        if not remove(file, number=number):
            return  # another one lies there by now
        self._bad[file] += 1
        log.warning("copy_bad", file=copy_of(file).name, times=self._bad[file])
        if self._bad[file] >= BAD_MAX:
            self._given_up.add(file)
        self._runtime.copies.give()

    def _run(self) -> None:
        while not self._stop.is_set():
            count = self._runtime.copies.count
            try:
                self._look()
            except Exception:  # the loop outlives a folder that is away for a moment
                log.exception("copies_not_made")
            self._runtime.copies.wait(count, SLEEP_SECONDS)

    def _look(self) -> None:
        folder = self._runtime.data_folder
        for left in folder.glob(PARTIALS):  # of a crash: only this thread makes any
            left.unlink(missing_ok=True)
        wanted = self._wanted()
        for copy in sorted(folder.glob(f"*{SUFFIX}")):
            file = copy.with_suffix(".arrow")
            if file.name not in wanted and remove(file):
                log.info("copy_removed", file=copy.name)
        for file in sorted(folder / name for name in wanted):
            if self._stop.is_set():
                return
            is_settled = file in self._settled and copy_of(file).exists()
            if is_settled or file in self._given_up or not file.exists():
                continue
            if file.stat().st_size >= COPIED_BYTES_MIN:
                self._make(file)

    def _wanted(self) -> set[str]:
        """Return the files of datasets that are on offer or under running agreements."""
        with self._runtime.database.unit_of_work() as uow:
            now = self._runtime.clock()
            in_use = agreements.datasets_in_use(uow, Side.PROVIDER, now=now)
            offered = offerings.files(uow)
            in_use |= {dataset_id for dataset_id, _, is_withdrawn in offered if not is_withdrawn}
            named = [(dataset_id, name) for dataset_id, name, _ in offered]
            named += relations.files(uow)
        return {name for dataset_id, name in named if dataset_id in in_use}

    def _make(self, file: Path) -> None:
        settings, before = self._runtime.settings, number_of(file)
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
            self._given_up.add(file)
        elif code == 0:
            self._settled.add(file)
            if before and before != number_of(file):
                log.warning("copy_bad", file=copy_of(file).name)
            log.info("copy_made", file=copy_of(file).name)


def _be_nice() -> None:
    os.nice(NICE)
