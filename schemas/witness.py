"""Witnesses of a log (C2SP tlog-witness): who has seen a checkpoint signs it beside the log.

A witness remembers the newest checkpoint of a log that it cosigned, and cosigns only what begins
with it. So a log cannot show one tree to some and another to others, nor go back to an older one.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from schemas.merkle import HASH_BYTES, BadProofError, check_consistency
from schemas.note import NOTE_CHARS_MAX, Checkpoint, NoteKey, open_checkpoint
from schemas.wire import OwnWire, Time

WITNESS_PATH: Final = "/witness"
SIZE_TYPE: Final = "text/x.tlog.size"
PROOF_LINES_MAX: Final = 63
_LINE_CHARS: Final = 45  # the base64 of a hash, and the newline
SUBMISSION_BYTES_MAX: Final = 32 + PROOF_LINES_MAX * _LINE_CHARS + 4 * NOTE_CHARS_MAX
_OLD: Final = "old "


class BadSubmissionError(ValueError):
    """The text is not a request to cosign a checkpoint."""


class OtherSizeError(Exception):
    """The witness has cosigned a checkpoint of another size, or of this size with another root.

    ``size`` is the size it has; ``contradicts`` tells of the second case.
    """

    def __init__(self, size: int, *, contradicts: bool = False) -> None:
        super().__init__(f"the checkpoint cosigned last has {size} leaves")
        self.size = size
        self.contradicts = contradicts


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to cosign: ``proof`` shows that ``note``'s tree begins with ``old_size`` leaves."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def write(self) -> str:
        """Return the body of the request."""
        lines = "".join(f"{base64.b64encode(part).decode()}\n" for part in self.proof)
        return f"{_OLD}{self.old_size}\n{lines}\n{self.note}"

    @classmethod
    def parse(cls, text: str) -> Submission:
        """Read the body of a request; the note is not looked into.

        Raises:
            BadSubmissionError: It is none.
        """
        head, separator, note = text.partition("\n\n")
        first, *lines = head.split("\n")
        size = first.removeprefix(_OLD)
        if not separator or not first.startswith(_OLD) or len(lines) > PROOF_LINES_MAX:
            raise BadSubmissionError("not an old size, a proof and a checkpoint")
        return cls(parse_size(size), tuple(_hash(line) for line in lines), note)

    def check(self, seen: Checkpoint | None, key: NoteKey) -> Checkpoint:
        """Return the checkpoint to cosign, given the one that was cosigned last.

        Raises:
            BadNoteError: The log did not sign it.
            BadSubmissionError: The old size is larger than the new one.
            OtherSizeError: Not what was cosigned last.
            BadProofError: Not shown to begin with what was cosigned last.
        """
        head = open_checkpoint(self.note, key)
        if self.old_size > head.size:
            raise BadSubmissionError(f"old {self.old_size} is larger than {head.size}")
        if self.old_size != (0 if seen is None else seen.size):
            contradicts = seen is not None and seen.size == head.size and seen.root != head.root
            raise OtherSizeError(0 if seen is None else seen.size, contradicts=contradicts)
        if seen is None:
            if self.proof:
                raise BadProofError("nothing is to be proven of a log that was never seen")
            return head
        if head.size == seen.size and head.root != seen.root:
            raise OtherSizeError(seen.size, contradicts=True)
        check_consistency(
            old=seen.size, old_root=seen.root, new=head.size, new_root=head.root, proof=self.proof
        )
        return head


class WitnessedLog(OwnWire):
    """What a connector has seen of a log.

    ``contradiction`` is the first note by which the log contradicted ``checkpoint`` or an earlier
    one, beside that one: both are signed by the log, and prove that it told two things.
    """

    origin: str
    log_key: str
    size: int = Field(ge=0)
    checkpoint: str
    cosigned_at: Time
    contradiction: tuple[str, str] | None = None


class WitnessView(OwnWire):
    """A connector as a witness: its key as a vkey, and the log, once it has seen one."""

    key: str
    log: WitnessedLog | None = None


class WitnessStanding(OwnWire):
    """One witness as the log sees it; ``key`` is None until the registry knows it.

    ``size`` is the largest tree that it has cosigned, ``trouble`` why it did not the last time.
    """

    url: str
    key: str | None = None
    size: int = Field(default=0, ge=0)
    cosigned_at: Time | None = None
    trouble: str | None = None


class WitnessList(OwnWire):
    """The witnesses of a log, and the largest tree that enough of them have cosigned."""

    quorum: int = Field(ge=0)
    witnessed_size: int = Field(ge=0)
    witnesses: tuple[WitnessStanding, ...]


def witness_name(url: str) -> str:
    """Return the name of the witness that is the connector at ``url`` (a URL, no scheme)."""
    return url.rstrip("/").partition("://")[2] + WITNESS_PATH


def parse_size(text: str) -> int:
    """Read the size of a tree.

    Raises:
        BadSubmissionError: It is none, or written in another way than the one.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(2**63)):
        raise BadSubmissionError("not the size of a tree")
    size = int(text)
    if str(size) != text:
        raise BadSubmissionError("not the size of a tree")
    return size


def _hash(line: str) -> bytes:
    try:
        content = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise BadSubmissionError("not a hash of a proof") from None
    if len(content) != HASH_BYTES or base64.b64encode(content).decode() != line:
        raise BadSubmissionError("not a hash of a proof")
    return content
