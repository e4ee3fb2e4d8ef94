"""Holds on a deposit, asked for before a delivery."""
