"""All tables of this service, imported so that alembic sees them."""

from clearing.agreements import store as agreements_store
from clearing.attestation import store as attestation_store
from clearing.bank import store as bank_store
from clearing.billing import store as billing_store
from clearing.closing import store as closing_store
from clearing.credit import store as credit_store
from clearing.disputes import store as disputes_store
from clearing.grants import store as grants_store
from clearing.ledger import store as ledger_store
from clearing.log import store as log_store
from clearing.metering import store as metering_store
from clearing.parties import store as parties_store
from clearing.payout import store as payout_store
from clearing.rating import store as rating_store
from clearing.returns import store as returns_store
from clearing.settlement import store as settlement_store
from clearing.shares import store as shares_store
from databank.kit import store as kit_store

__all__ = [
    "agreements_store",
    "attestation_store",
    "bank_store",
    "billing_store",
    "closing_store",
    "credit_store",
    "disputes_store",
    "grants_store",
    "kit_store",
    "ledger_store",
    "log_store",
    "metering_store",
    "parties_store",
    "payout_store",
    "rating_store",
    "returns_store",
    "settlement_store",
    "shares_store",
]
