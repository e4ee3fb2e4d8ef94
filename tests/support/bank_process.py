"""A clearing service in a process of its own, whose registry is a file and whose clock stands.

Usage: python -m tests.support.bank_process FOLDER DATABASE_URL REGISTRY.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from schemas.participant import Participant
from tests.support.bank import Company, FrozenClock, _maker
from tests.support.serve import serve


@contextmanager
def bank_process(folder: Path, database_url: str, companies: Sequence[Company]) -> Iterator[str]:
    """Run the service until the block ends; give its URL."""
    registry = folder / "registry.json"
    registry.write_text(json.dumps([each.participant.to_json() for each in companies]))
    command = [sys.executable, "-m", __name__, str(folder), database_url, str(registry)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(30)


def main(folder: str, database_url: str, registry: str) -> None:
    """Serve until the process is ended."""
    known = [Participant.model_validate(each) for each in json.loads(Path(registry).read_text())]
    make = _maker(Path(folder), database_url, FrozenClock(), {each.id: each for each in known})
    with serve(make) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
