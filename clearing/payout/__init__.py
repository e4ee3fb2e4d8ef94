"""Payouts: who is paid what, the bank's file, two officers' approval, the entries."""
