"""산업데이터은행: ``import databank; db = databank.connect()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from databank.client.session import Session


def connect(url: str | None = None, token: str | None = None) -> Session:
    """Return a curator's session with its own company's connector.

    Args:
        url: The connector; else ``DATABANK_URL``, else what ``databank login`` stored.
        token: Its admin token; else ``DATABANK_TOKEN``, else what ``databank login`` stored.

    Raises:
        databank.client.profile.NoProfileError: No connector is known.
    """
    from databank.client.session import connect_to  # noqa: PLC0415 - the CLI starts without it

    return connect_to(url, token)
