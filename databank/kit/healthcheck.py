"""What a container asks itself: ``python -m databank.kit.healthcheck`` exits 0 or 1.

The URL to ask stands in the environment variable ``DATABANK_HEALTH_URL``.
"""

from __future__ import annotations

import os
import sys
from http import HTTPStatus
from typing import Final

import httpx

TIMEOUT_SECONDS: Final = 3.0


def is_healthy(url: str) -> bool:
    """Return whether a GET of ``url`` is answered with 200 in time."""
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
            return http.get(url).status_code == HTTPStatus.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_healthy(os.environ["DATABANK_HEALTH_URL"]) else 1)
