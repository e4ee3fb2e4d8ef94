"""Adding leaves, signing checkpoints, proving leaves.

What was signed last is remembered twice: in the database, and in a file beside the key. Before
a larger tree is signed, and before the first leaf is added after a start, the tree must begin
with the one in that file. So a database that was restored from an older copy, or changed, is
never signed over: the log stops, and with it everything that needs a leaf.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from clearing.log import store
from clearing.log.quorum import Quorum
from clearing.log.tiles import LEVEL_BITS, Tile
from databank.kit.clock import Clock, IdMaker
from databank.kit.db import Database, UnitOfWork
from schemas.merkle import NodeHash, frontier_of, prove_consistency, prove_inclusion
from schemas.note import BadNoteError, Checkpoint, NoteKey, open_checkpoint, sign_checkpoint
from schemas.problem import InvalidRequestError, NotFoundError, ProblemError
from schemas.seal import Seal, SealKind, log_entry, sign_seal
from schemas.signature import SigningKey
from schemas.wire import Text

log = structlog.get_logger()


class LogBrokenError(ProblemError):
    """The log in the database does not continue what was signed before."""

    slug = "log-broken"
    title = Text(ko="청산 기록을 이어 갈 수 없습니다", en="The log cannot go on")
    status = 503


class Log:
    """One clearing service's log."""

    def __init__(
        self,
        key: SigningKey,
        *,
        origin: str,
        memory: Path,
        make_nonce: IdMaker,
        quorum: Quorum | None = None,
    ) -> None:
        self.signing_key = key
        self.quorum = quorum or Quorum(0)
        self.make_nonce = make_nonce
        self.key = NoteKey.of(origin, key.public)
        self._memory = memory
        self._lock = threading.Lock()
        self._is_open = False
        self._signed: Checkpoint | None = None
        self._broken: str | None = None

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.key.name

    @property
    def signed_size(self) -> int:
        """How many leaves the checkpoint signed last has."""
        return 0 if self._signed is None else self._signed.size

    def open(self, uow: UnitOfWork) -> None:
        """Compare the tree with what was signed last; adding is refused if it is another.

        Does not raise: a service whose log is broken still answers what it knows.
        """
        with self._lock:
            self._is_open = True
            note = self._remembered() or store.latest_checkpoint(uow)
            if note is None or self._broken is not None:
                return
            try:
                self._signed = open_checkpoint(note, self.key)
            except BadNoteError as error:
                self._stop(f"{self._memory.name}: {error}")
                return
            self._compare(uow, store.size_of(uow))

    def append(self, uow: UnitOfWork, make: Callable[[int], str]) -> str:
        """Add the signed object that ``make`` makes of its index; return it.

        Raises:
            LogBrokenError: The log does not continue what was signed.
        """
        return self.append_all(uow, [make])[0]

    def append_all(self, uow: UnitOfWork, makers: Sequence[Callable[[int], str]]) -> list[str]:
        """Add signed objects, each made of its index; return them.

        Indices are taken under a lock that the transaction holds to its end: take it last.

        Raises:
            LogBrokenError: The log does not continue what was signed.
            NotWitnessedError: Too few witnesses know what was signed.
        """
        self.check_addable()
        first = store.take_indices(uow, len(makers))
        if self._signed is not None and first < self._signed.size:
            self._stop(f"leaf {first} was signed before")
        self.check()
        made = [make(index) for index, make in enumerate(makers, first)]
        store.add_leaves(uow, first, [log_entry(jws) for jws in made])
        return made

    def seal(self, uow: UnitOfWork, kind: SealKind, subject: str, sha256: str) -> str:
        """Add and return the seal of an agreement or a statement.

        Raises:
            LogBrokenError: The log does not continue what was signed.
        """

        def make(index: int) -> str:
            seal = Seal(
                kind=kind,
                subject=subject,
                sha256=sha256,
                log_origin=self.origin,
                log_index=index,
                nonce=self.make_nonce(),
            )
            return sign_seal(seal, self.signing_key)

        return self.append(uow, make)

    def publish(self, uow: UnitOfWork, *, now: datetime) -> str:
        """Return a signed checkpoint of all leaves; the transaction must not have added one.

        Raises:
            LogBrokenError: The tree does not begin with the one that was signed last.
        """
        with self._lock:
            self.check()
            size = store.size_of(uow)
            root = self._compare(uow, size)
            self.check()
            head = Checkpoint(self.origin, size, root)
            note = sign_checkpoint(head, self.signing_key)
            if head != self._signed:
                self._remember(note)  # before anybody sees it
                self._signed = head
                self.quorum.signed(size)
            store.put_checkpoint(uow, size, note, signed_at=now)
            return note

    def compare_with(self, uow: UnitOfWork, seen: Checkpoint, *, witness: str) -> None:
        """Stop the log if its tree does not begin with a checkpoint that a witness shows.

        Raises:
            LogBrokenError: It does not.
        """
        with self._lock:
            size = store.size_of(uow)
            if size < seen.size:
                self._stop(f"{witness} has seen {seen.size} leaves, here are {size}")
            else:
                store.fill_tiles(uow, size)
                if frontier_of(seen.size, store.node_reader(uow)).root != seen.root:
                    self._stop(f"{witness} has seen another root over {seen.size} leaves")
        self.check()

    def check_addable(self) -> None:
        """Raise if nothing may be added now.

        Raises:
            LogBrokenError: The log does not continue what was signed.
            NotWitnessedError: Too few witnesses know what was signed.
        """
        self.check()
        self.quorum.check()

    def check(self) -> None:
        """Raise if the log has stopped.

        Raises:
            LogBrokenError: It has.
        """
        assert self._is_open, "open the log before it is used"
        if self._broken is not None:
            raise LogBrokenError(
                ko=f"데이터베이스가 마지막으로 서명한 체크포인트를 잇지 않습니다: {self._broken}. "
                "옛 사본을 되살렸다면 가장 새 사본으로 바꾸고 청산소를 다시 시작하세요.",
                en=f"The database does not continue the checkpoint signed last: {self._broken}. "
                "If an old copy was restored, put the newest in its place and start again.",
                retryable=False,
            )

    def _compare(self, uow: UnitOfWork, size: int) -> bytes:
        """Return the root, or stop the log if the tree is not a later form of the signed one."""
        store.fill_tiles(uow, size)
        node = store.node_reader(uow)
        signed = self._signed
        try:
            if signed is not None and size < signed.size:
                self._stop(f"{size} leaves where {signed.size} were signed")
            elif signed is not None and frontier_of(signed.size, node).root != signed.root:
                self._stop(f"another root over the first {signed.size} leaves")
            return frontier_of(size, node).root
        except LookupError as error:
            self._stop(str(error))
            return b""

    def _stop(self, reason: str) -> None:
        self._broken = reason
        log.error("log_broken", reason=reason)

    def _remembered(self) -> str | None:
        return self._memory.read_text(encoding="utf-8") if self._memory.exists() else None

    def _remember(self, note: str) -> None:
        """Write the file so that after a power cut it is the old or the new one."""
        fresh = self._memory.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._memory)
        folder = os.open(self._memory.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def path_reader(uow: UnitOfWork) -> NodeHash:
    """Return the node function of the tree under the newest checkpoint."""
    return store.node_reader(uow)


def proof_of(uow: UnitOfWork, index: int, key: NoteKey, note: str) -> list[bytes]:
    """Return the audit path of a leaf under a checkpoint of ours.

    Raises:
        NotFoundError: The log has no such leaf.
    """
    size = open_checkpoint(note, key).size
    if index >= size:
        raise _not_in_log(size)
    return prove_inclusion(index, size, path_reader(uow))


def witnessed(uow: UnitOfWork, quorum: int) -> str:
    """Return the newest checkpoint that enough witnesses have cosigned, with their signatures.

    Raises:
        NotFoundError: There is none.
    """
    found = store.witnessed(uow, quorum)
    if found is None:
        raise NotFoundError(
            ko="증인이 서명한 체크포인트가 아직 없습니다.",
            en="No checkpoint has been cosigned by enough witnesses yet.",
        )
    return found.text


def consistency(uow: UnitOfWork, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of ``new`` leaves begins with that of ``old``.

    Raises:
        NotFoundError: The log does not have so many leaves.
        InvalidRequestError: ``old`` is larger than ``new``.
    """
    size = store.size_of(uow)
    if new > size:
        raise _not_in_log(size)
    if old > new:
        raise InvalidRequestError(
            ko=f"old({old})는 new({new})보다 클 수 없습니다.",
            en=f"old ({old}) must not be larger than new ({new}).",
        )
    store.fill_tiles(uow, size)
    return prove_consistency(old, new, store.node_reader(uow))


def tile_hashes(uow: UnitOfWork, level: int, name: str) -> list[bytes]:
    """Return the hashes of a tile.

    Raises:
        NotFoundError: It is no tile's name, or the log is not so long.
    """
    size = store.size_of(uow)
    store.fill_tiles(uow, size)
    tile = _known(name, size >> (LEVEL_BITS * level))
    return store.hashes(uow, level, tile.start, tile.start + tile.width)


def tile_entries(uow: UnitOfWork, name: str) -> list[bytes]:
    """Return the entries under a tile of level 0.

    Raises:
        NotFoundError: It is no tile's name, or the log is not so long.
    """
    tile = _known(name, store.size_of(uow))
    return store.entries(uow, tile.start, tile.start + tile.width)


def _known(name: str, count: int) -> Tile:
    tile = Tile.parse(name)
    if tile is None or tile.start + tile.width > count:
        raise _not_in_log(count)
    return tile


def _not_in_log(size: int) -> NotFoundError:
    return NotFoundError(
        ko=f"청산 기록에 아직 없습니다. 지금은 {size}개까지 있습니다.",
        en=f"The log does not have that; it is {size} long.",
        size=size,
    )


class Publisher:
    """A thread that signs a checkpoint whenever leaves were added."""

    def __init__(self, log_: Log, database: Database, *, clock: Clock, seconds: float) -> None:
        self._log = log_
        self._database = database
        self._clock = clock
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clearing-log", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Sign what was added since, and return."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            is_last = self._stop.wait(self._seconds)
            try:
                self._publish()
            except LogBrokenError:
                return  # it has been said
            except Exception as error:  # noqa: BLE001 - the database may be back in a second
                log.warning("checkpoint_not_signed", error=str(error))
            if is_last:
                return

    def _publish(self) -> None:
        with self._database.unit_of_work() as uow:
            if store.size_of(uow) != self._log.signed_size:
                self._log.publish(uow, now=self._clock())
