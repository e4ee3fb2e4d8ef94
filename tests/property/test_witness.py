"""A witness cosigns what continues what it saw, and nothing else, whatever it is sent."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.merkle import (
    BadProofError,
    leaf_hash,
    nodes_over,
    prove_consistency,
    root_of,
)
from schemas.note import BadNoteError, Checkpoint, NoteKey, sign_checkpoint
from schemas.signature import generate_key
from schemas.witness import BadSubmissionError, OtherSizeError, Submission

ORIGIN: Final = "clearing.example/log"
KEY: Final = generate_key("did:web:clearing.example")
LOG: Final = NoteKey.of(ORIGIN, KEY.public)
SIZE_MAX: Final = 20
TREES: Final = {name: [leaf_hash(f"{name}{n}".encode()) for n in range(SIZE_MAX)] for name in "ab"}


def head(tree: str, size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root_of(TREES[tree][:size]))


def submission(tree: str, old: int, new: int, *, told_old: int | None = None) -> Submission:
    proof = prove_consistency(old, new, nodes_over(TREES[tree])) if old <= new else []
    note = sign_checkpoint(head(tree, new), KEY)
    return Submission(old if told_old is None else told_old, tuple(proof), note)


sizes = st.integers(0, SIZE_MAX)
trees = st.sampled_from("ab")


@given(st.lists(st.tuples(trees, sizes, sizes, sizes), max_size=12))
def test_what_was_cosigned_is_one_growing_tree(steps: list[tuple[str, int, int, int]]) -> None:
    """Any requests, of two trees that differ from the first leaf on, with honest proofs or not."""
    seen: Checkpoint | None = None
    cosigned: list[Checkpoint] = []
    for tree, old, new, told_old in steps:
        asked = submission(tree, old, new, told_old=told_old)
        assert Submission.parse(asked.write()) == asked
        with suppress(BadSubmissionError, OtherSizeError, BadProofError):
            seen = asked.check(seen, LOG)
            cosigned.append(seen)
    kinds = {t for c in cosigned if c.size for t in "ab" if head(t, c.size) == c}
    assert len(kinds) <= 1
    assert [c.size for c in cosigned] == sorted(c.size for c in cosigned)


@given(trees, sizes, sizes)
def test_an_honest_log_is_always_cosigned(tree: str, one: int, other: int) -> None:
    old, new = sorted((one, other))
    first = submission(tree, 0, old).check(None, LOG)
    assert submission(tree, old, new).check(first, LOG) == head(tree, new)


@pytest.mark.parametrize(("tree", "old", "new", "error", "contradicts"), [
    ("a", 0, 5, OtherSizeError, False),  # a witness that was forgotten
    ("a", 3, 5, OtherSizeError, False),
    ("a", 4, 4, None, False),
    ("b", 4, 4, OtherSizeError, True),
    ("b", 0, 4, OtherSizeError, True),  # it tells another old size: two trees all the same
    ("b", 4, 6, BadProofError, False),
    ("a", 4, 3, BadSubmissionError, False),
])  # fmt: skip
def test_each_refusal_has_its_reason(
    tree: str, old: int, new: int, error: type[Exception] | None, *, contradicts: bool
) -> None:
    asked = submission(tree, old, new)
    if error is None:
        assert asked.check(head("a", 4), LOG) == head(tree, new)
        return
    with pytest.raises(error) as refusal:
        asked.check(head("a", 4), LOG)
    if isinstance(refusal.value, OtherSizeError):
        assert (refusal.value.size, refusal.value.contradicts) == (4, contradicts)


def test_a_checkpoint_of_somebody_else_is_not_looked_at() -> None:
    stranger = sign_checkpoint(head("a", 2), generate_key("did:web:stranger.example"))
    with pytest.raises(BadNoteError):
        Submission(0, (), stranger).check(None, LOG)


HASH: Final = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize("text", [
    "", "old 1", "old 1\n", "old 01\n\nnote", "old -1\n\nnote", "old ١\n\nnote", "new 1\n\nnote",
    "old  1\n\nnote", "old 99999999999999999999999\n\nnote", "old 1\nAA==\n\nnote",
    f"old 1\n{HASH[:-1]}\n\nnote", f"old 1\n{HASH} \n\nnote",
    "old 1\n" + f"{HASH}\n" * 64 + "\nnote",
])  # fmt: skip
def test_what_is_no_submission_is_refused(text: str) -> None:
    with pytest.raises(BadSubmissionError):
        Submission.parse(text)
