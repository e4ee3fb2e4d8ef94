"""A page of a large catalog against the whole of a small one, read by another connector."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.support.catalogs import Reader, publish_many
from tests.support.connectors import Registry, connector
from tests.support.figures import Figure, Figures

GROUP: Final = "Catalog"
SIZES: Final = (10_000, 10)
PAGE: Final = 50
ROUNDS: Final = 100
WARM_UP: Final = 5


def milliseconds(reader: Reader, datasets: int) -> float:
    began = time.perf_counter()
    answer = reader.ask()
    taken = 1000 * (time.perf_counter() - began)
    assert len(answer.json()["dataset"]) == datasets
    return taken


@pytest.mark.benchmark
def test_a_page(disk: Path, figures: Figures) -> None:
    registry = Registry()
    taken: dict[int, list[float]] = {size: [] for size in SIZES}
    with ExitStack() as stack:
        reader = stack.enter_context(connector(disk / "reader", registry, "reader"))
        readers = {}
        for size in SIZES:
            folder = disk / f"catalog-{size}"
            owner = stack.enter_context(
                connector(folder, registry, f"owner{size}", catalog_page_size=PAGE)
            )
            publish_many(owner.runtime, size)
            readers[size] = Reader(reader, owner, reader.http)
        for turn in range(WARM_UP + ROUNDS):
            for size in SIZES:
                spent = milliseconds(readers[size], min(size, PAGE))
                if turn >= WARM_UP:
                    taken[size].append(spent)
        large = readers[SIZES[0]]
        began = time.perf_counter()
        count = sum(len(page["dataset"]) for page in large.pages())
        rate = count / (time.perf_counter() - began)
    assert count == SIZES[0]
    name = f"first page, {PAGE} of {SIZES[0]:,} datasets"
    limit = f"all {SIZES[1]} datasets of another connector"
    figures.add(Figure(GROUP, name, "ms", taken[SIZES[0]], limit, taken[SIZES[1]]))
    figures.add(Figure(GROUP, f"all pages of {SIZES[0]:,}", "datasets/s", [rate], is_rate=True))
