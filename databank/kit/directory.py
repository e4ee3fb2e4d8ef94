"""Who is who: the broker's registry as every other service sees it.

An answer is used for ``max_age``; then the broker is asked again. While the broker is down,
a participant that was active is still answered for ``grace``. A revocation notice drops the
entry at once. The key is always the registry's, never the token's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from databank.kit.clock import Clock
from databank.kit.http import RemoteRefusedError, ServiceClient
from schemas.ids import ParticipantId
from schemas.participant import Participant, ParticipantList
from schemas.problem import RemoteUnavailableError

RETRY_AGE: Final = timedelta(seconds=1)
Lookup: TypeAlias = Callable[[ParticipantId], Participant | None]


def broker_lookup(client: ServiceClient, broker_url: str) -> Lookup:
    """Return a function that asks the broker for one participant."""

    def lookup(participant_id: ParticipantId) -> Participant | None:
        url = f"{broker_url.rstrip('/')}/participants"
        answer = client.call_json("GET", url, params={"id": participant_id})
        return next(iter(ParticipantList.model_validate(answer).participants), None)

    return lookup


@dataclass(frozen=True, slots=True)
class _Entry:
    participant: Participant | None
    asked_at: datetime


class Directory:
    """A cache of registry answers; safe to use from several threads."""

    def __init__(
        self, lookup: Lookup, *, clock: Clock, max_age_seconds: float, grace_seconds: float
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._max_age = timedelta(seconds=max_age_seconds)
        self._grace = timedelta(seconds=grace_seconds)
        self._entries: dict[ParticipantId, _Entry] = {}
        self._lock = threading.Lock()

    def find(self, participant_id: ParticipantId) -> Participant | None:
        """Return the participant, whatever its status, or None if there is none.

        Raises:
            RemoteUnavailableError: The broker is down and we know nothing recent enough.
        """
        now = self._clock()
        with self._lock:
            entry = self._entries.get(participant_id)
        if entry is not None and now - entry.asked_at < self._max_age:
            return entry.participant
        try:
            participant = self._lookup(participant_id)
        except (RemoteUnavailableError, RemoteRefusedError):
            if entry is not None and now - entry.asked_at < self._grace:
                return entry.participant
            raise
        with self._lock:
            self._entries[participant_id] = _Entry(participant, now)
        return participant

    def find_anew(self, participant_id: ParticipantId) -> Participant | None:
        """Return the participant as it is now, unless the answer is only a moment old.

        For a key that we do not know yet: its owner may just have replaced it.
        """
        with self._lock:
            entry = self._entries.get(participant_id)
            if entry is not None and self._clock() - entry.asked_at >= RETRY_AGE:
                del self._entries[participant_id]
        return self.find(participant_id)

    def forget(self, participant_id: ParticipantId) -> None:
        """Ask the broker again before this participant is answered."""
        with self._lock:
            self._entries.pop(participant_id, None)
