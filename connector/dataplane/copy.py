"""The engine copy: a published file's rows in the query engine's own format.

The Arrow file stays what is published, metered and read; a copy only makes queries faster. It
is bound to its file: it says of which bytes it was made, and is passed over where that is not
the file it lies beside. Made by ``python -m connector.dataplane.copy FILE``, in a process of its
own with limits, out of a file whose bytes have the hash that is its name.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from connector.publish.arrow_file import PARTIAL_SUFFIX, make_durable, sha256_of

SUFFIX: Final = ".duckdb"
PARTIALS: Final = f"*{SUFFIX}{PARTIAL_SUFFIX}*"  # what a crash leaves of copies under way
ENGINE_SHARE: Final = 0.5  # of the process's memory, as in the worker
NAME: Final = "copied"  # of the attached database
_ORIGIN: Final = "SELECT sha256, bytes, engine FROM copied.main.origin"
_SHOW: Final = "SELECT * FROM copied.main.relation"


def copy_of(file: Path) -> Path:
    """Return where the copy of a published file lies, if there is one."""
    return file.with_suffix(SUFFIX)


def number_of(file: Path) -> int:
    """Return what tells the copy that lies beside a file now from earlier ones; 0 if none does."""
    try:
        return copy_of(file).stat().st_ino
    except OSError:
        return 0


def remove(file: Path, *, number: int | None = None) -> bool:
    """Remove the copy of a file that no worker has open; False if one has, or there is none.

    A worker that reads a copy holds the engine's lock on it. With ``number``, remove the copy of
    that number though it is open: it is bad, and who has it open keeps it.
    """
    copy = copy_of(file)
    try:
        with copy.open("r+b") as held:
            if number is None:
                fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            elif os.fstat(held.fileno()).st_ino != number:
                return False
            copy.unlink()
    except OSError:
        return False
    return True


def make(file: Path, *, memory_bytes: int) -> bool:
    """Make the copy of a published file; False if the file's bytes are not those of its name.

    It appears under its name once it is complete and on the disk.
    """
    sha256 = sha256_of(file)
    if sha256 != file.stem:
        return False
    final = copy_of(file)
    partial = final.with_suffix(SUFFIX + PARTIAL_SUFFIX)
    partial.unlink(missing_ok=True)
    settings: dict[str, Any] = {
        "threads": 1,
        "memory_limit": f"{int(memory_bytes * ENGINE_SHARE)}B",
        "temp_directory": "",  # nothing of the rows lies about in the clear
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(str(partial), config=settings) as engine:
            engine.register("published", pa.ipc.open_file(pa.memory_map(str(file))).read_all())
            engine.execute("CREATE TABLE relation AS SELECT * FROM published")
            engine.execute(
                "CREATE TABLE origin AS SELECT ? AS sha256, ?::BIGINT AS bytes, ? AS engine",
                [sha256, file.stat().st_size, duckdb.__version__],
            )
        make_durable(partial, final)
    finally:
        for left in partial.parent.glob(f"{partial.name}*"):
            left.unlink(missing_ok=True)
    return True


def attach(engine: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Attach the copy of a published file if there is one of exactly this file.

    Call before the engine is locked: afterwards it opens nothing.
    """
    copy = copy_of(file)
    if not copy.exists():
        return False
    try:
        engine.execute(f"ATTACH '{_quoted(copy)}' AS {NAME} (READ_ONLY)")
        origin = engine.execute(_ORIGIN).fetchall()
    except duckdb.Error:  # damaged, or of another engine
        origin = []
    if origin == [(file.stem, file.stat().st_size, duckdb.__version__)]:
        return True
    engine.execute(f"DETACH DATABASE IF EXISTS {NAME}")
    return False


def show(engine: duckdb.DuckDBPyConnection, dataset: str) -> None:
    """Give the rows of the attached copy the dataset's name."""
    engine.sql(_SHOW).create_view(dataset)


def is_bound(file: Path) -> bool:
    """Whether a copy of exactly this file lies beside it."""
    with duckdb.connect() as engine:
        return attach(engine, file)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def main(arguments: list[str]) -> int:
    """Make the copy that is not there yet, or not of this file; be the child."""
    job = json.loads(arguments[0])
    file, memory_bytes = Path(job["file"]), int(job["memory_bytes"])
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if is_bound(file):
        return 0
    return 0 if make(file, memory_bytes=memory_bytes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
