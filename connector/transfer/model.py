"""A transfer process as one side holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.side import Side
from connector.transfer.machine import State
from connector.transfer.pause import NO_PAUSE, Pauses
from schemas.ids import AgreementId, ParticipantId, ProcessId


@dataclass(frozen=True, slots=True)
class TransferProcess:
    """One transfer process.

    The provider keeps ``secret_sha256`` of the access secret while the process is started;
    the consumer keeps the ``data_address`` that holds the secret. ``suspended_by`` says whose
    pauses hold it up. ``has_resumed``: we have resumed it since we suspended it last.
    ``peer_url`` is the counterparty's DSP base.
    """

    side: Side
    consumer_pid: ProcessId
    provider_pid: ProcessId | None
    counterparty_id: ParticipantId
    peer_url: str
    agreement_id: AgreementId
    format: str
    state: State
    updated_at: datetime
    secret_sha256: str | None = None
    data_address: dict[str, Any] | None = None
    reason: str | None = None
    reason_code: str | None = None
    suspended_by: Pauses = NO_PAUSE
    has_resumed: bool = False

    @property
    def is_address_awaited(self) -> bool:
        """Whether the provider may send an address though the process is started.

        We (the consumer) have resumed; an older start may still come before the one that
        answers us, so the newest counts.
        """
        is_started = self.state is State.STARTED
        return is_started and self.has_resumed and self.side is Side.CONSUMER

    @property
    def pid(self) -> ProcessId:
        """Our own pid of the process."""
        if self.side is Side.CONSUMER:
            return self.consumer_pid
        assert self.provider_pid is not None
        return self.provider_pid
