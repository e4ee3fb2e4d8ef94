"""Asking witnesses to cosign each checkpoint (C2SP tlog-witness), a thread for each witness.

A witness that does not follow says which checkpoint of ours it has seen. Signed by us, that is
our own word: if our tree does not begin with it, an older copy was restored, and the log stops.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

import httpx
import structlog

from clearing.log import service, store
from clearing.log.service import Log
from databank.kit.clock import Clock
from databank.kit.db import Database
from databank.kit.directory import Directory
from databank.kit.http import ServiceClient, expect_json
from schemas.ids import did_web
from schemas.note import COSIGNATURE, NoteKey, cosigned_at, open_checkpoint
from schemas.participant import Status
from schemas.problem import ProblemError
from schemas.witness import (
    WITNESS_PATH,
    Submission,
    WitnessList,
    WitnessStanding,
    witness_name,
)

NOT_FOLLOWED: Final = (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
CLOCKS_DIFFER_SECONDS_MAX: Final = 300.0
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}
log = structlog.get_logger()


class NotCosignedError(Exception):
    """The witness did not cosign; the text says why."""


class NotJoinedError(NotCosignedError):
    """The witness has not joined, or waits for its approval; it never has cosigned anything."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What asking a witness takes."""

    log: Log
    database: Database
    directory: Directory
    client: ServiceClient
    clock: Clock


class Witness:
    """One witness, asked until stopped. ``url`` is its connector's."""

    def __init__(self, asking: Asking, url: str, *, seconds: float) -> None:
        self.url = url.rstrip("/")
        self._asking = asking
        self._seconds = seconds
        self._size: int | None = None  # what it has cosigned last, once it is known
        self._has_answered = False
        self._trouble: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clearing-witness", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the call under way, then return."""
        self._stop.set()
        self._thread.join()

    def standing(self, cosigned: tuple[int, str, datetime] | None) -> WitnessStanding:
        """Return how this witness stands, given what it cosigned last."""
        if cosigned is None:
            return WitnessStanding(url=self.url, trouble=self._trouble)
        size, key, at = cosigned
        return WitnessStanding(
            url=self.url, key=key, size=size, cosigned_at=at, trouble=self._trouble
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.ask()
                self._trouble = None
            except NotJoinedError as error:
                self._trouble = str(error)  # nothing is wrong as long as nobody relies on it
            except (NotCosignedError, ProblemError, ValueError) as error:
                self._say(str(error))
            except Exception as error:  # noqa: BLE001 - the database may be back in a second
                self._say(f"{type(error).__name__}: {error}")
            self._stop.wait(self._seconds)

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("checkpoint_not_cosigned", witness=self.url, error=trouble)
        self._trouble = trouble

    def ask(self) -> None:
        """Have the newest checkpoint cosigned, unless it is.

        Raises:
            NotCosignedError: The witness does not.
            BadNoteError: What it answered is not signed as it should be.
            ProblemError: It is not there, or the log has stopped.
        """
        if self._has_answered and self._size == self._asking.log.signed_size:
            return
        if self._size is None:
            with self._asking.database.unit_of_work() as uow:
                last = store.cosigned_last(uow, self.url)
            self._size = 0 if last is None else last[0]
        key = self._key()
        answer = self._submit(self._size)
        if answer[1].status_code in NOT_FOLLOWED:
            self._size = self._seen()
            answer = self._submit(self._size)
        self._keep(*answer, key)

    def _key(self) -> NoteKey:
        participant = self._asking.directory.find(did_web(self.url))
        if participant is None or participant.status is not Status.ACTIVE:
            is_new = participant is None or participant.status is Status.PENDING
            is_missed = self._has_answered or self._size or self._asking.log.quorum.needed
            error = NotJoinedError if is_new and not is_missed else NotCosignedError
            raise error("not an active participant")
        return NoteKey.of(witness_name(self.url), participant.key, COSIGNATURE)

    def _submit(self, old_size: int) -> tuple[str, httpx.Response]:
        """Send the newest checkpoint; return it and the answer."""
        asking = self._asking
        with asking.database.unit_of_work() as uow:
            note = asking.log.publish(uow, now=asking.clock())
            size = open_checkpoint(note, asking.log.key).size
            proof = service.consistency(uow, old_size, size) if old_size <= size else []
        body = Submission(old_size, tuple(proof), note).write().encode()
        url = f"{self.url}{WITNESS_PATH}/add-checkpoint"
        return note, asking.client.call("POST", url, content=body, headers=_TEXT)

    def _seen(self) -> int:
        """Return the size of the checkpoint that the witness has seen, if our tree continues it.

        Raises:
            LogBrokenError: It does not.
            BadNoteError: What it shows was not signed by us.
        """
        asking = self._asking
        answer = asking.client.call("GET", f"{self.url}{WITNESS_PATH}/checkpoint")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return 0
        if not answer.is_success:
            expect_json(answer)
        seen = open_checkpoint(answer.text, asking.log.key)
        with asking.database.unit_of_work() as uow:
            asking.log.compare_with(uow, seen, witness=self.url)
        return seen.size

    def _keep(self, note: str, answer: httpx.Response, key: NoteKey) -> None:
        if not answer.is_success:
            raise NotCosignedError(f"HTTP {answer.status_code}: {answer.text[:200]}")
        line = answer.text
        seconds = cosigned_at(note + line, key)
        if seconds is None or line.count("\n") != 1:
            raise NotCosignedError("the cosignature does not verify under the witness's key")
        if abs(seconds - self._asking.clock().timestamp()) > CLOCKS_DIFFER_SECONDS_MAX:
            raise NotCosignedError("the cosignature's time is not now")
        size = open_checkpoint(note, self._asking.log.key).size
        with self._asking.database.unit_of_work() as uow:
            store.put_cosignature(
                uow, size, self.url, key=str(key), line=line, at=self._asking.clock()
            )
        self._size, self._has_answered = size, True
        self._asking.log.quorum.cosigned(self.url, size)


class Witnesses:
    """All witnesses of a log."""

    def __init__(self, asking: Asking, urls: Sequence[str], *, seconds: float) -> None:
        self._log = asking.log
        self._database = asking.database
        self._all = [Witness(asking, url, seconds=seconds) for url in urls]

    def start(self) -> None:
        """Begin to ask."""
        for witness in self._all:
            witness.start()

    def stop(self) -> None:
        """Finish the calls under way, then return."""
        for witness in self._all:
            witness.stop()

    def list(self) -> WitnessList:
        """Return how each stands."""
        quorum = self._log.quorum.needed
        with self._database.unit_of_work() as uow:
            last = {each.url: store.cosigned_last(uow, each.url) for each in self._all}
            witnessed = store.witnessed(uow, quorum)
        return WitnessList(
            quorum=quorum,
            witnessed_size=0 if witnessed is None else witnessed.size,
            witnesses=tuple(each.standing(last[each.url]) for each in self._all),
        )
