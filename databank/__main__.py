"""``python -m databank`` is ``databank``."""

from __future__ import annotations

from databank.cli import main

if __name__ == "__main__":
    main()
