"""What benchmarks share: running companies with data on a real disk, and where figures go.

Everything lies in ``var/bench`` of the checkout, since a temporary folder may be in memory,
where waiting for the disk costs nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.figures import IN_MEMORY, Figures, file_system
from tests.support.market import Market, open_market
from tests.support.postgres import BACKENDS, PostgresServer, run_server
from tests.support.shared import ROOT

FOLDER: Final = ROOT / "var" / "bench"
SERVERS: Final = Path("/var/tmp")  # on a disk, and open to the user that PostgreSQL runs as
ROWS: Final = {"machine_log": 3_000_000, "shift": 20_000}
_FIGURES: Final = pytest.StashKey[Figures]()


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    """Return where a benchmark puts what it has measured."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    assert file_system(FOLDER) not in IN_MEMORY, "durable figures need a disk"
    return request.config.stash.setdefault(_FIGURES, Figures(FOLDER))


@pytest.fixture(scope="session")
def disk(figures: Figures) -> Iterator[Path]:
    """Return an empty folder on the disk, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=figures.folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Return a server that waits for the disk, as it would in production."""
    assert file_system(SERVERS) not in IN_MEMORY, "durable figures need a disk"
    with run_server(is_durable=True, parent=SERVERS) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def durable_url(request: pytest.FixtureRequest, disk: Path) -> str:
    """Return the URL of an empty database on the disk; once per kind of database."""
    if request.param == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("make_postgres_url")
        return make()
    return f"sqlite:///{tempfile.mkdtemp(dir=disk)}/bench.db"


@pytest.fixture(scope="session")
def market(disk: Path) -> Iterator[Market]:
    """Return a supplier with published data, a buyer, and the operator's services."""
    folder = disk / "market"
    folder.mkdir()
    with open_market(folder, ROWS) as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures and say where they are written."""
    figures = terminalreporter.config.stash.get(_FIGURES, None)
    if figures is None or not figures.measured:
        return
    path = figures.write()
    terminalreporter.write_line(figures.table())
    terminalreporter.write_line(f"\n{path.relative_to(ROOT)}")
