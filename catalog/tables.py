"""All tables of this service, imported so that alembic sees them."""

from catalog.index import store as index_store
from databank.kit import store as kit_store

__all__ = ["index_store", "kit_store"]
