"""Payments that came back or were never sent, and who bears what a bank kept of them."""
