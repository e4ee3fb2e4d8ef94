"""Version metadata (DSP 2025-1, section 4.3)."""

from __future__ import annotations

from typing import Any, Final

VERSION: Final = "2025-1"
WELL_KNOWN_PATH: Final = "/.well-known/dspace-version"


def version_document(path: str) -> dict[str, Any]:
    """Return the version document; ``path`` is the DSP base, relative to the root."""
    entry = {"version": VERSION, "path": path, "binding": "HTTPS"}
    return {"protocolVersions": [entry]}
