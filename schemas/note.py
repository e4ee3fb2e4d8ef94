"""Signed notes, and the checkpoints of a log that they carry (C2SP signed-note, tlog-checkpoint).

A note is a text, an empty line, and signatures as ``— name base64(key id ‖ signature)``. A
checkpoint's text says origin, size and root of a tree. A cosignature (C2SP tlog-cosignature,
Ed25519) adds the time at which a witness saw it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.merkle import HASH_BYTES
from schemas.signature import PublicKey, SigningKey

NOTE_CHARS_MAX: Final = 16_384
SIGNATURES_MAX: Final = 32
ED25519: Final = 1  # signature types of C2SP signed-note
COSIGNATURE: Final = 4
_KEY_ID_BYTES: Final = 4
_SIGNATURE_BYTES: Final = 64
_TIME_BYTES: Final = 8
_TIME_END: Final = 253_402_300_800  # the year 10000
_SIZE_DIGITS_MAX: Final = 19  # 2^63 - 1 has so many


class BadNoteError(ValueError):
    """The text is not such a note, or nobody whom we know has signed it."""


@dataclass(frozen=True, slots=True)
class NoteKey:
    """Somebody who signs notes: ``kind`` says what a signature means."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature line names its key."""
        content = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(content).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        """Write the key as a vkey, the form in which people pass it on."""
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> NoteKey:
        """Read a vkey.

        Raises:
            BadNoteError: It is none, or its id is not that of its key.
        """
        name, _, rest = text.partition("+")
        _, _, material = rest.partition("+")
        content = _bytes(material)
        if not _is_name(name) or len(content) != 1 + HASH_BYTES:
            raise BadNoteError(f"not a key of a log: {text!r}")
        key = cls(name, content[1:], content[0])
        if str(key) != text or key.kind not in (ED25519, COSIGNATURE):
            raise BadNoteError(f"not a key of a log: {text!r}")
        return key

    @classmethod
    def of(cls, name: str, key: PublicKey, kind: int = ED25519) -> NoteKey:
        """Return the key of a service or participant as one that signs notes."""
        return cls(name, _unpadded(key.jwk["x"]), kind)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: ``size`` leaves have the root ``root``."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text; extension lines are not read.

        Raises:
            BadNoteError: It is no checkpoint of ours.
        """
        lines = text.split("\n")
        if len(lines) != 4:  # noqa: PLR2004 - three lines and what follows the last newline
            raise BadNoteError("not a checkpoint")
        origin, size, root = lines[:3]
        if not size.isascii() or not size.isdecimal() or len(size) > _SIZE_DIGITS_MAX:
            raise BadNoteError("not the size of a tree")
        checkpoint = cls(origin, int(size), _bytes(root))
        if checkpoint.text != text or len(checkpoint.root) != HASH_BYTES or not _is_name(origin):
            raise BadNoteError("not a checkpoint")
        return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return a log's checkpoint as a note signed by the log."""
    signer = NoteKey.of(checkpoint.origin, key.public)
    signature = _private(key).sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n{_line(signer, signature)}"


def cosign(checkpoint: Checkpoint, name: str, key: SigningKey, *, at: int) -> str:
    """Return a witness's signature line: ``name`` saw the checkpoint at the POSIX time ``at``."""
    signer = NoteKey.of(name, key.public, COSIGNATURE)
    signature = _private(key).sign(_cosigned(checkpoint.text, at))
    return _line(signer, at.to_bytes(_TIME_BYTES, "big") + signature)


def open_checkpoint(note: str, key: NoteKey) -> Checkpoint:
    """Return the checkpoint that a log has signed with ``key``.

    Raises:
        BadNoteError: Not a checkpoint of that log, or the signature does not verify.
    """
    text, signatures = split_note(note)
    checkpoint = Checkpoint.parse(text)
    if checkpoint.origin != key.name:
        raise BadNoteError(f"a checkpoint of {checkpoint.origin}, not of {key.name}")
    if not any(_verifies(text, name, signed, key) for name, signed in signatures):
        raise BadNoteError(f"no signature of {key.name} under its key")
    return checkpoint


def cosigned_at(note: str, key: NoteKey) -> int | None:
    """Return when a witness saw the checkpoint, or None if it did not sign it.

    A time beyond the calendar counts as no signature.
    """
    text, signatures = split_note(note)
    for name, signed in signatures:
        if key.kind == COSIGNATURE and _verifies(text, name, signed, key):
            at = int.from_bytes(signed[_KEY_ID_BYTES : _KEY_ID_BYTES + _TIME_BYTES], "big")
            return at if at < _TIME_END else None
    return None


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return a note's text and its signatures: names, and key ids with signatures.

    Raises:
        BadNoteError: It is not a note.
    """
    if len(note) > NOTE_CHARS_MAX:
        raise BadNoteError("note too long")
    text, separator, rest = note.partition("\n\n")
    lines = rest.split("\n")
    if not separator or lines.pop() or not 1 <= len(lines) <= SIGNATURES_MAX:
        raise BadNoteError("not a signed note")
    signatures = []
    for line in lines:
        dash, _, signed = line.partition(" ")
        name, _, material = signed.partition(" ")
        content = _bytes(material)
        if dash != "—" or not _is_name(name) or len(content) <= _KEY_ID_BYTES:
            raise BadNoteError("not a signature line")
        signatures.append((name, content))
    return f"{text}\n", signatures


def _verifies(text: str, name: str, signed: bytes, key: NoteKey) -> bool:
    if name != key.name or signed[:_KEY_ID_BYTES] != key.id:
        return False
    message, signature = text.encode(), signed[_KEY_ID_BYTES:]
    if key.kind == COSIGNATURE:
        at, signature = signature[:_TIME_BYTES], signature[_TIME_BYTES:]
        message = _cosigned(text, int.from_bytes(at, "big"))
    if len(signature) != _SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _line(signer: NoteKey, signature: bytes) -> str:
    return f"— {signer.name} {base64.b64encode(signer.id + signature).decode()}\n"


def _private(key: SigningKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_unpadded(key.private_jwk["d"]))


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _bytes(text: str) -> bytes:
    """Read the only base64 form of some bytes."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNoteError(f"not base64: {text!r}") from None
    if base64.b64encode(content).decode() != text:
        raise BadNoteError(f"not the canonical base64: {text!r}")
    return content


def _is_name(text: str) -> bool:
    return bool(text) and text.isprintable() and not any(c.isspace() or c == "+" for c in text)
