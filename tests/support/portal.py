"""A catalog that serves its portal over given listings."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from fastapi import FastAPI

from catalog.app import create_app
from catalog.index import store
from catalog.index.document import to_document
from catalog.settings import CatalogSettings
from databank.kit.app import Context
from databank.kit.db import Database
from schemas.dataset import Listing
from tests.support.migrated import with_tables
from tests.support.serve import serve


def portal_with(folder: Path, listings: list[Listing]) -> AbstractContextManager[str]:
    """Serve the portal over ``listings``; yields its URL."""

    def make(port: int) -> FastAPI:
        settings = CatalogSettings(
            port=port, data_dir=folder, broker_url="http://localhost:9", feed_seconds=30
        )
        with_tables("catalog", settings.database())
        app = create_app(settings)
        context: Context = app.state.context
        with context.database.unit_of_work() as uow:
            for listing in listings:
                store.put(uow, to_document(listing))
        return app

    return serve(make)


def relist(folder: Path, listing: Listing) -> None:
    """Let the catalog that runs in ``folder`` list something, or something anew."""
    database = Database(f"sqlite:///{folder}/service.db")
    with database.unit_of_work() as uow:
        store.put(uow, to_document(listing))
    database.close()
