"""Bundles: a statement with all that it follows from, for anybody to check."""
