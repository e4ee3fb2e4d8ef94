"""Agreements as both sides confirm them."""
