"""What the broker's routes need beside the kit's context."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from broker.crawler.loop import CrawlLoop
from broker.membership.delivery import Delivery
from broker.membership.model import Issuer
from broker.settings import BrokerSettings
from databank.kit.holder import TokenCheck
from databank.kit.http import ServiceClient


@dataclass(frozen=True, slots=True)
class Parts:
    """Stands in ``app.state.parts``; ``notices`` calls with short time limits.

    ``issuing`` delivers credentials; ``check_token`` verifies ID tokens of DCP.
    """

    settings: BrokerSettings
    operator_secret: str
    crawler: CrawlLoop
    notices: ServiceClient
    issuer: Issuer
    issuing: Delivery
    check_token: TokenCheck


def get_parts(request: Request) -> Parts:
    """Return the broker's parts."""
    parts: Parts = request.app.state.parts
    return parts
