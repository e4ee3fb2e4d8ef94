"""Billing profiles: what invoices and payouts need to know of a participant."""
