"""Runs the released DCP TCK against our connector and broker, started in a process of its own."""
