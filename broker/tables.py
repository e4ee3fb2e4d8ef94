"""All tables of this service, imported so that alembic sees them."""

from broker.crawler import store as crawler_store
from broker.federation import store as federation_store
from broker.membership import store as membership_store
from broker.registry import store as registry_store
from databank.kit import store as kit_store

__all__ = ["crawler_store", "federation_store", "kit_store", "membership_store", "registry_store"]
