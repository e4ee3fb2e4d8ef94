"""What the catalog asks of the broker."""

from __future__ import annotations

from databank.kit.http import ServiceClient
from schemas.participant import Feed, JoinRequest

FEED_LIMIT = 200


def join(client: ServiceClient, broker_url: str, request: JoinRequest, *, secret: str) -> None:
    """Register the catalog; the same again changes nothing.

    Raises:
        RemoteRefusedError: The broker does not want it.
        RemoteUnavailableError: The broker does not answer.
    """
    headers = {"Databank-Operator": secret} if secret else {}
    url = f"{broker_url.rstrip('/')}/participants"
    client.call_json("POST", url, json=request.to_json(), headers=headers)


def read_feed(client: ServiceClient, broker_url: str, *, after: int) -> Feed:
    """Return the next changes of the federated catalog.

    Raises:
        RemoteRefusedError: The catalog is not registered.
        RemoteUnavailableError: The broker does not answer.
    """
    url = f"{broker_url.rstrip('/')}/feed"
    params = {"after": str(after), "limit": str(FEED_LIMIT)}
    return Feed.model_validate(client.call_json("GET", url, params=params))
