"""All tables of this service, imported so that alembic sees them."""

from databank.kit import store as kit_store

__all__ = ["kit_store"]
