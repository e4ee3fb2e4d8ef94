"""Reading a published file from the supplier's connector, against a bare ``sendfile``."""

from __future__ import annotations

import time
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from typing import Final

import psutil
import pyarrow as pa
import pytest

from tests.support.figures import Figure, Figures
from tests.support.market import Market, connect, read_into
from tests.support.processes import Service
from tests.support.sendfile import FileServer, file_server

ROUNDS: Final = 9
GROUP: Final = "Reads"
DATASET: Final = "machine_log"


class Reader:
    """Times reads into one buffer, and the processor time that a server spends on them."""

    def __init__(self, size: int, pid: int) -> None:
        self.buffer = bytearray(size)
        self.server = psutil.Process(pid)
        self.rates: list[float] = []
        self.costs: list[float] = []

    def time(self, response: HTTPResponse, began: float, spent: float) -> None:
        """Read the whole body; ``began`` and ``spent`` are of before the request."""
        length = read_into(response, self.buffer)
        seconds = time.perf_counter() - began
        assert length == len(self.buffer)
        self.rates.append(length / seconds / 1e9)
        self.costs.append((self.spent() - spent) / (length / 1e9))

    def spent(self) -> float:
        """Return the server's processor seconds so far."""
        times = self.server.cpu_times()
        return float(times.user + times.system)


def read_bare(reader: Reader, connection: HTTPConnection) -> None:
    spent, began = reader.spent(), time.perf_counter()
    connection.request("GET", "/")
    reader.time(connection.getresponse(), began, spent)


def read_licensed(reader: Reader, market: Market) -> None:
    """Read as a buyer's program does at the data address: first use of a new agreement."""
    with market.client(market.agree(DATASET)) as client:
        spent, began = reader.spent(), time.perf_counter()
        response = client.open_file()
        reader.time(response, began, spent)
    rows, charge = (int(response.headers[f"Databank-{name}"]) for name in ("Rows", "Charge-Micro"))
    assert rows == market.listings[DATASET].dataset.rows_count
    assert charge > 0


def read_through(reader: Reader, market: Market, connection: HTTPConnection) -> None:
    """Read through the buyer's own connector, as the SDK does, in one request."""
    agreement_id = market.agree(DATASET)
    headers = {"Authorization": f"Bearer {market.town['buyer'].token}"}
    spent, began = reader.spent(), time.perf_counter()
    connection.request("GET", f"/management/agreements/{agreement_id}/data", headers=headers)
    reader.time(connection.getresponse(), began, spent)


def pid_of(service: Service | FileServer) -> int:
    if isinstance(service, FileServer):
        return service.pid
    assert service.process is not None
    return service.process.pid


@pytest.mark.benchmark
def test_reads(market: Market, figures: Figures) -> None:
    file = market.file(DATASET)
    size = file.stat().st_size
    with (
        file_server(file) as server,
        closing(connect(server.port)) as to_server,
        closing(connect(market.town["buyer"].port)) as to_buyer,
    ):
        bare = Reader(size, pid_of(server))
        licensed = Reader(size, pid_of(market.town["supplier"]))
        through = Reader(size, pid_of(market.town["buyer"]))
        for _ in range(ROUNDS):
            read_bare(bare, to_server)
            read_licensed(licensed, market)
            read_through(through, market, to_buyer)
    content = file.read_bytes()
    for reader in (bare, licensed, through):
        assert reader.buffer == content
        assert pa.ipc.open_file(pa.py_buffer(reader.buffer)).read_all().num_rows > 0
    name = f"{size / 1e6:.0f} MB from /data, metered and paid"
    limit = "os.sendfile of the same file"
    figures.add(Figure(GROUP, name, "GB/s", licensed.rates, limit, bare.rates, is_rate=True))
    figures.add(Figure(GROUP, "… its server", "CPU s/GB", licensed.costs, limit, bare.costs))
    name = "the same through the buyer's connector"
    figures.add(Figure(GROUP, name, "GB/s", through.rates, limit, bare.rates, is_rate=True))
    figures.add(Figure(GROUP, "… the buyer's connector", "CPU s/GB", through.costs))
