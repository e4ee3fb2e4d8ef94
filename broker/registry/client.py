"""Tells every process that a participant changed, at the same time and within a bound."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

import structlog

from databank.kit.http import RemoteRefusedError, ServiceClient, expect_json
from schemas.ids import ParticipantId
from schemas.participant import Participant, RevocationNotice
from schemas.problem import RemoteUnavailableError

NOTICE_SECONDS_MAX: Final = 2.0  # for all of them together
NOTICES_PARALLEL_MAX: Final = 64
log = structlog.get_logger()


def notify(
    client: ServiceClient,
    receivers: Sequence[Participant],
    changed_id: ParticipantId,
    *,
    seconds_max: float = NOTICE_SECONDS_MAX,
) -> None:
    """Send the notice to all receivers; whoever misses it asks the registry again soon anyway."""
    if not receivers:
        return
    body = RevocationNotice(participant_id=changed_id).to_json()
    pool = ThreadPoolExecutor(
        min(len(receivers), NOTICES_PARALLEL_MAX), thread_name_prefix="broker-notice"
    )
    sent: dict[Future[None], Participant] = {
        pool.submit(_send, client, receiver, body): receiver for receiver in receivers
    }
    done, late = wait(sent, timeout=seconds_max)
    pool.shutdown(wait=False, cancel_futures=True)
    for future in done:
        if (error := future.exception()) is not None:
            log.warning(
                "notice_failed",
                receiver_id=sent[future].id,
                changed_id=changed_id,
                error=str(error),
            )
    for future in late:
        log.warning("notice_late", receiver_id=sent[future].id, changed_id=changed_id)


def _send(client: ServiceClient, receiver: Participant, body: dict[str, object]) -> None:
    url = f"{receiver.connector_url}/registry/notices"
    try:
        expect_json(client.call("POST", url, audience=receiver.id, json=body))
    except (RemoteRefusedError, RemoteUnavailableError) as error:
        raise RuntimeError(error.detail.en) from None
