"""Messages to the operator's services, after which nothing follows here."""

from __future__ import annotations

from typing import Any

import structlog

from connector.outbox.model import OutgoingMessage, Refused
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork

log = structlog.get_logger()


class NoticeDelivery:
    """A notice is delivered or, with a log line, given up."""

    def state_url(self, uow: UnitOfWork, message: OutgoingMessage) -> None:
        """No state is shown."""

    def delivered(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, answer: dict[str, Any]
    ) -> None:
        """Nothing follows."""

    def refused(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, refused: Refused
    ) -> bool:
        """Say so in the log: a person has to look."""
        del uow, runtime
        log.warning(
            "notice_refused", kind=message.kind.value, key=message.process_key, why=refused.reason
        )
        return False
