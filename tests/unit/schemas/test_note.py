"""Signed notes and checkpoints, against the vectors of the Go note package and of C2SP."""

from __future__ import annotations

import base64

import pytest

from schemas.note import (
    COSIGNATURE,
    BadNoteError,
    Checkpoint,
    NoteKey,
    cosign,
    cosigned_at,
    open_checkpoint,
    sign_checkpoint,
    split_note,
)
from schemas.note import _verifies as verifies
from schemas.signature import generate_key

PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"  # noqa: E501
)
ORIGIN = "clearing.example/log"
KEY = generate_key("did:web:clearing.example")
LOG = NoteKey.of(ORIGIN, KEY.public)
HEAD = Checkpoint(ORIGIN, 20_852_163, bytes(range(32)))


def test_the_note_of_the_go_package_verifies_under_its_key() -> None:
    key = NoteKey.parse(PETER)
    assert (key.name, key.id.hex(), str(key)) == ("PeterNeumann", "c74f20a3", PETER)
    text, [(name, signed)] = split_note(PETERS_NOTE)
    assert verifies(text, name, signed, key)
    assert not verifies(text.replace("think", "thinK"), name, signed, key)


@pytest.mark.parametrize("vkey", [
    "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a3", "PeterNeumann+c74f20a3+!!!!", "", "+c74f20a3+AA==",
])  # fmt: skip
def test_what_is_no_key_is_refused(vkey: str) -> None:
    with pytest.raises(BadNoteError):
        NoteKey.parse(vkey)


def test_the_checkpoint_of_c2sp_is_read_and_written_as_it_stands() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    read = Checkpoint.parse(text)
    assert (read.origin, read.size, read.text) == ("example.com/behind-the-sofa", 20852163, text)


def test_a_signed_checkpoint_opens_under_its_key_only() -> None:
    note = sign_checkpoint(HEAD, KEY)
    assert open_checkpoint(note, LOG) == HEAD
    other = generate_key("did:web:clearing.example").public
    for key in (NoteKey.of(ORIGIN, other), NoteKey.of("other.example/log", KEY.public)):
        with pytest.raises(BadNoteError):
            open_checkpoint(note, key)


def test_no_changed_byte_of_a_checkpoint_is_accepted() -> None:
    note = sign_checkpoint(HEAD, KEY).encode()
    for place in range(len(note)):
        for bit in (1, 32):
            bent = note[:place] + bytes([note[place] ^ bit]) + note[place + 1 :]
            try:
                text = bent.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(BadNoteError):
                open_checkpoint(text, LOG)


@pytest.mark.parametrize("text", [
    "o\n1\n", "o\n01\n" + base64.b64encode(bytes(32)).decode() + "\n", "o\n1\nAA==\n",
    "o\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
    "o\n١\n" + base64.b64encode(bytes(32)).decode() + "\n",
    "o\n1\n" + base64.b64encode(bytes(32)).decode() + "\nextension\n",
])  # fmt: skip
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNoteError):
        Checkpoint.parse(text)


def test_a_cosignature_says_when_a_witness_saw_the_checkpoint() -> None:
    witness = generate_key("did:web:witness.example")
    note = sign_checkpoint(HEAD, KEY) + cosign(HEAD, "witness.example", witness, at=1_800_000_000)
    assert open_checkpoint(note, LOG) == HEAD
    key = NoteKey.of("witness.example", witness.public, COSIGNATURE)
    assert cosigned_at(note, key) == 1_800_000_000
    assert NoteKey.parse(str(key)) == key
    assert cosigned_at(sign_checkpoint(HEAD, KEY), key) is None
    assert cosigned_at(note, NoteKey.of("witness.example", KEY.public, COSIGNATURE)) is None
    with pytest.raises(BadNoteError):  # a witness is not the log
        open_checkpoint(HEAD.text + "\n" + cosign(HEAD, ORIGIN, KEY, at=1), LOG)


@pytest.mark.parametrize(("at", "counts"), [
    (0, True), (253_402_300_799, True), (253_402_300_800, False), (2**63, False), (2**64 - 1, False)
])  # fmt: skip
def test_a_cosignature_beyond_the_calendar_is_none(at: int, *, counts: bool) -> None:
    witness = generate_key("did:web:witness.example")
    note = sign_checkpoint(HEAD, KEY) + cosign(HEAD, "witness.example", witness, at=at)
    key = NoteKey.of("witness.example", witness.public, COSIGNATURE)
    assert (cosigned_at(note, key) == at) is counts
