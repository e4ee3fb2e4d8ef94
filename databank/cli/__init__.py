"""The ``databank`` command. Commands import what they need when they run: help is fast."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name, and exit."""
    import os
    import sys

    from databank.cli.program import run

    sys.exit(run(sys.argv[1:], os.environ))
