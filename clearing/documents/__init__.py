"""Statements and passbooks for people: PDF and CSV."""
