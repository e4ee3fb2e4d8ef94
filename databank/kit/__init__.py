"""Plumbing that all services share; it imports ``schemas`` only."""
