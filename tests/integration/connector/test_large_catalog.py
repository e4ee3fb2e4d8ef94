"""A catalog costs what is shown of it, however much there is."""

from __future__ import annotations

import gc
import json
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event

from connector.offering import store as offerings
from schemas.dcat import dataset_text, dataset_to_wire
from tests.support.catalogs import Reader, publish_many
from tests.support.connectors import Registry, Running, connector

PAGE: Final = 50
MANY: Final = 10_000
GROWTH_BYTES_MAX: Final = 2 * 2**20  # a page alone has 0.2 MB
FEW: Final = 20  # pages
ID_BYTES: Final = 200  # what the test itself keeps of each dataset


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def reader(tmp_path: Path, registry: Registry) -> Iterator[Running]:
    with connector(tmp_path / "reader", registry, "reader") as running:
        yield running


@contextmanager
def owner(folder: Path, registry: Registry, reader: Running) -> Iterator[Reader]:
    with connector(folder, registry, folder.name, catalog_page_size=PAGE) as running:
        yield Reader(reader, running, reader.http)


@contextmanager
def counted(running: Running) -> Iterator[list[str]]:
    """Collect the statements that a connector runs to answer requests."""
    said: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if threading.current_thread().name.startswith("AnyIO"):  # not those of its own threads
            said.append(statement)

    engine = running.runtime.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_page_takes_as_many_statements_whatever_is_published(
    tmp_path: Path, registry: Registry, reader: Running
) -> None:
    statements = {}
    for name, count, terms in (
        ("none", 0, 1),
        ("few", 2, 1),
        ("many", 300, 1),
        ("rules", 300, 300),
    ):
        with owner(tmp_path / name, registry, reader) as asked:
            publish_many(asked.of.runtime, count, terms=terms)
            with counted(asked.of) as said:
                page = asked.ask().json()
            assert len(page.get("dataset", [])) == min(count, PAGE)
            statements[name] = list(said)
    assert statements["none"]
    assert all(said == statements["none"] for said in statements.values())


def test_paging_through_ten_thousand_datasets_needs_no_more_memory_than_a_few_pages(
    tmp_path: Path, registry: Registry, reader: Running
) -> None:
    with owner(tmp_path / "owner", registry, reader) as asked:
        publish_many(asked.of.runtime, MANY)
        seen: set[str] = set()
        pages = asked.pages()
        gc.freeze()  # else what the process holds from before decides how often it collects,
        gc.collect()  # and so would the number that the last collection remembers of it
        tracemalloc.start()
        try:
            few = [peak_of(islice(pages, FEW), seen) for _ in range(2)][-1]  # the caches are full
            all_others = peak_of(pages, seen)
        finally:
            tracemalloc.stop()
            gc.unfreeze()
    assert len(seen) == MANY
    assert all_others - few < MANY * ID_BYTES + GROWTH_BYTES_MAX


def peak_of(pages: Iterator[dict[str, Any]], seen: set[str]) -> int:
    """Return the most memory that was in use at once while pages were read."""
    tracemalloc.reset_peak()
    for page in pages:
        seen |= {one["@id"] for one in page["dataset"]}
    return tracemalloc.get_traced_memory()[1]


def test_a_dataset_stands_in_the_page_as_it_was_published(
    tmp_path: Path, registry: Registry, reader: Running
) -> None:
    with owner(tmp_path / "owner", registry, reader) as asked:
        publish_many(asked.of.runtime, 3)
        shown = asked.ask().json()["dataset"]
        with asked.of.runtime.database.unit_of_work() as uow:
            published = offerings.publications(uow, limit=10)
    service = f"{asked.of.runtime.did}#dsp"
    wanted = [
        dataset_to_wire(one.dataset, offer=one.offer(), service_id=service) for one in published
    ]
    assert shown == wanted
    for one in published:
        text = dataset_text(
            json.dumps(one.dataset.to_json()),
            offer=one.offer(),
            service_id=service,
            approval=one.approval,
        )
        assert json.loads(text) in wanted
