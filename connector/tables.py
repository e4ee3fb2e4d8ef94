"""All tables of this service, imported so that alembic sees them."""

from connector.agreement import store as agreement_store
from connector.dataplane import store as dataplane_store
from connector.dsp import store as dsp_store
from connector.identity import store as identity_store
from connector.metering import store as metering_store
from connector.negotiation import store as negotiation_store
from connector.offering import store as offering_store
from connector.outbox import store as outbox_store
from connector.policy import store as policy_store
from connector.publish import store as publish_store
from connector.receiving import store as receiving_store
from connector.relation import store as relation_store
from connector.spending import store as spending_store
from connector.statistics import store as statistics_store
from connector.transfer import store as transfer_store
from connector.witness import store as witness_store
from databank.kit import store as kit_store

__all__ = [
    "agreement_store",
    "dataplane_store",
    "dsp_store",
    "identity_store",
    "kit_store",
    "metering_store",
    "negotiation_store",
    "offering_store",
    "outbox_store",
    "policy_store",
    "publish_store",
    "receiving_store",
    "relation_store",
    "spending_store",
    "statistics_store",
    "transfer_store",
    "witness_store",
]
