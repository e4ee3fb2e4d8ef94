"""Rows of the log. Leaves, hashes and checkpoints are only ever added: triggers refuse the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text, func, insert, select, text
from sqlalchemy import bindparam as bind
from sqlmodel import Field, SQLModel

from clearing.log.tiles import LEVEL_BITS, WIDTH
from databank.kit.db import InsertNew, UnitOfWork, UtcTime, table_of
from schemas.merkle import leaf_hash, node_hash
from schemas.note import SIGNATURES_MAX

HEAD: Final = 1  # the only row of its table
WITNESSES_MAX: Final = SIGNATURES_MAX - 1  # one of a note's signatures is the log's


class LogHeadRow(SQLModel, table=True):
    """How many leaves there are; locked by whoever adds one, until its transaction ends."""

    __tablename__ = "clearing_log_head"
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))


class LogLeafRow(SQLModel, table=True):
    """One leaf: the SHA-256 of a signed object."""

    __tablename__ = "clearing_log_leaf"
    idx: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    entry: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LogHashRow(SQLModel, table=True):
    """The hash of a full tile: position ``position`` of tile level ``level``, from 1."""

    __tablename__ = "clearing_log_hash"
    level: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    position: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CheckpointRow(SQLModel, table=True):
    """A checkpoint that we have signed."""

    __tablename__ = "clearing_checkpoint"
    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    note: str = Field(sa_column=Column(Text, nullable=False))
    signed_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class CosignatureRow(SQLModel, table=True):
    """A witness's signature line under a checkpoint, and the key that it verifies under."""

    __tablename__ = "clearing_cosignature"
    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    witness: str = Field(primary_key=True)
    vkey: str
    line: str = Field(sa_column=Column(Text, nullable=False))
    cosigned_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint with the keys and signature lines of the witnesses that cosigned it."""

    size: int
    note: str
    keys: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The note with all its signatures."""
        return self.note + "".join(self.lines)


_TAKE: Final = text("UPDATE clearing_log_head SET size = size + :n WHERE id = 1 RETURNING size")
_SIZE: Final = text("SELECT size FROM clearing_log_head WHERE id = 1")
_ADD: Final = insert(table_of(LogLeafRow))
_NEW_HASHES: Final = InsertNew(LogHashRow)
_NEW_CHECKPOINT: Final = InsertNew(CheckpointRow)


def take_indices(uow: UnitOfWork, count: int) -> int:
    """Take ``count`` indices and return the first; others wait until this transaction ends."""
    return int(uow.run(_TAKE, n=count).scalar_one()) - count


def add_leaves(uow: UnitOfWork, first: int, entries_: Sequence[bytes]) -> None:
    """Add leaves from index ``first`` on."""
    uow.run_each(_ADD, [{"idx": idx, "entry": e} for idx, e in enumerate(entries_, first)])


def size_of(uow: UnitOfWork) -> int:
    """Return how many leaves there are."""
    return int(uow.run(_SIZE).scalar_one())


def entries(uow: UnitOfWork, start: int, end: int) -> list[bytes]:
    """Return the entries of leaves ``start`` to ``end - 1``."""
    table = table_of(LogLeafRow)
    query = select(table.c.entry).where(table.c.idx >= start, table.c.idx < end)
    return [bytes(entry) for entry in uow.run(query.order_by(table.c.idx)).scalars()]


def hashes(uow: UnitOfWork, level: int, start: int, end: int) -> list[bytes]:
    """Return hashes of one tile level; those of level 0 are leaf hashes."""
    if level == 0:
        return [leaf_hash(entry) for entry in entries(uow, start, end)]
    table = table_of(LogHashRow)
    query = select(table.c.hash).where(
        table.c.level == level, table.c.position >= start, table.c.position < end
    )
    return [bytes(found) for found in uow.run(query.order_by(table.c.position)).scalars()]


def fill_tiles(uow: UnitOfWork, size: int) -> None:
    """Store the hashes of tiles that have become full with ``size`` leaves."""
    table = table_of(LogHashRow)
    level = 1
    while size >> (LEVEL_BITS * level):
        full = size >> (LEVEL_BITS * level)
        query = select(func.max(table.c.position)).where(table.c.level == bind("level"))
        found = uow.run(query, level=level).scalar_one()
        rows = []
        for position in range(0 if found is None else found + 1, full):
            below = hashes(uow, level - 1, position * WIDTH, (position + 1) * WIDTH)
            rows.append({"level": level, "position": position, "hash": _reduce(below)})
        if rows:
            _NEW_HASHES.run_each(uow, rows)
        level += 1


def node_reader(uow: UnitOfWork) -> Callable[[int, int], bytes]:
    """Return the node function of the tree as far as its tiles are filled."""
    known: dict[tuple[int, int], list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, inside = divmod(level, LEVEL_BITS)
        start, width = index << inside, 1 << inside
        key = (tile_level, start // WIDTH)
        if key not in known:
            first = key[1] * WIDTH
            known[key] = hashes(uow, tile_level, first, first + WIDTH)
        place = start % WIDTH
        part = known[key][place : place + width]
        if len(part) != width:
            raise LookupError(f"the log lacks hashes of level {tile_level} from {start} on")
        return _reduce(part)

    return node


def _reduce(parts: Sequence[bytes]) -> bytes:
    row = list(parts)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def latest_checkpoint(uow: UnitOfWork) -> str | None:
    """Return the note of the largest checkpoint."""
    table = table_of(CheckpointRow)
    query = select(table.c.note).order_by(table.c.size.desc()).limit(1)
    note = uow.run(query).scalar_one_or_none()
    return None if note is None else str(note)


def put_checkpoint(uow: UnitOfWork, size: int, note: str, *, signed_at: datetime) -> None:
    """Store a checkpoint."""
    _NEW_CHECKPOINT.run(uow, size=size, note=note, signed_at=signed_at)


def put_cosignature(
    uow: UnitOfWork, size: int, witness: str, *, key: str, line: str, at: datetime
) -> None:
    """Store a witness's cosignature; the first for a size stays."""
    _COSIGN.run(uow, size=size, witness=witness, vkey=key, line=line, cosigned_at=at)


def cosigned_last(uow: UnitOfWork, witness: str) -> tuple[int, str, datetime] | None:
    """Return size, key and time of the largest checkpoint that a witness has cosigned."""
    row = uow.run(_COSIGNED_LAST, by=witness).mapping_or_none()
    return None if row is None else (row["size"], row["vkey"], row["cosigned_at"])


def witnessed(uow: UnitOfWork, quorum: int) -> Cosigned | None:
    """Return the largest checkpoint that ``quorum`` witnesses, but at least one, have cosigned."""
    size = uow.run(_WITNESSED, quorum=max(quorum, 1)).scalar_one_or_none()
    return None if size is None else cosigned(uow, size)


def cosigned(uow: UnitOfWork, size: int) -> Cosigned:
    """Return the checkpoint of a size that was signed, with what witnesses added."""
    table = table_of(CosignatureRow)
    note = uow.run(
        select(table_of(CheckpointRow).c.note).where(table_of(CheckpointRow).c.size == size)
    )
    query = select(table.c.vkey, table.c.line).where(table.c.size == size).order_by(table.c.witness)
    rows = uow.run(query.limit(WITNESSES_MAX)).mappings()
    return Cosigned(
        size,
        str(note.scalar_one()),
        keys=tuple(str(row["vkey"]) for row in rows),
        lines=tuple(str(row["line"]) for row in rows),
    )


_COSIGN: Final = InsertNew(CosignatureRow)
_COSIGNED_LAST: Final = (
    select(*(getattr(table_of(CosignatureRow).c, name) for name in ("size", "vkey", "cosigned_at")))
    .where(table_of(CosignatureRow).c.witness == bind("by"))
    .order_by(table_of(CosignatureRow).c.size.desc())
    .limit(1)
)
_WITNESSED: Final = (
    select(table_of(CosignatureRow).c.size)
    .group_by(table_of(CosignatureRow).c.size)
    .having(func.count() >= bind("quorum"))
    .order_by(table_of(CosignatureRow).c.size.desc())
    .limit(1)
)
