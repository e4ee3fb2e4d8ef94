"""Merkle trees of RFC 6962: roots, proofs of inclusion and of consistency.

A tree is known by its size and a function that returns the hash of any full subtree; where
those hashes come from (rows, tiles, a list) is the caller's business. Proofs are made by the
recursion of RFC 6962 2.1.1 and 2.1.2, and checked by the iteration of RFC 9162 2.1.3.2 and
2.1.4.2, so that maker and checker share no code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
PROOF_HASHES_MAX: Final = 64  # a tree of 2^63 leaves needs 63
NodeHash = Callable[[int, int], bytes]  # (level, index): the hash over leaves index * 2^level, …


class BadProofError(ValueError):
    """The proof does not show what it should."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one leaf (RFC 6962 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """The full subtrees of a growing tree, the largest first: enough for its root."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        self.hashes.append(leaf)
        self.size += 1
        for _ in range((self.size & -self.size).bit_length() - 1):
            right = self.hashes.pop()
            self.hashes.append(node_hash(self.hashes.pop(), right))

    @property
    def root(self) -> bytes:
        """The tree's root."""
        if not self.hashes:
            return EMPTY_ROOT
        *rest, root = self.hashes
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root


def frontier_of(size: int, node: NodeHash) -> Frontier:
    """Return the frontier of the first ``size`` leaves of a tree."""
    hashes, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(node(level, start >> level))
            start += 1 << level
    return Frontier(size, hashes)


def nodes_over(leaves: Sequence[bytes]) -> NodeHash:
    """Return the node function of a small tree that lies in memory."""

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


def _split(size: int) -> int:
    """Return the largest power of two below ``size``, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _range(start: int, end: int, node: NodeHash) -> bytes:
    """Return MTH(D[start:end]); ``start`` is a multiple of the subtree's size rounded up."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(_range(start, middle, node), _range(middle, end, node))


def prove_inclusion(index: int, size: int, node: NodeHash) -> list[bytes]:
    """Return the audit path of leaf ``index`` in the tree of ``size`` leaves (RFC 6962 2.1.1)."""
    assert 0 <= index < size
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range(middle, end, node))
            end = middle
        else:
            path.append(_range(start, middle, node))
            start = middle
    return path[::-1]


def prove_consistency(old: int, new: int, node: NodeHash) -> list[bytes]:
    """Return the proof that ``new`` leaves begin with ``old`` leaves (RFC 6962 2.1.2)."""
    assert 0 <= old <= new
    if old in (0, new):
        return []
    path, start, end, is_whole = [], 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range(middle, end, node))
            end = middle
        else:
            path.append(_range(start, middle, node))
            start, is_whole = middle, False
    if not is_whole:
        path.append(_range(start, end, node))
    return path[::-1]


def check_inclusion(
    leaf: bytes, index: int, *, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a leaf hash stands at ``index`` (RFC 9162 2.1.3.2).

    Raises:
        BadProofError: It is not shown.
    """
    if not 0 <= index < size:
        raise BadProofError(f"leaf {index} is not in a tree of {size}")
    place, last, found = index, size - 1, leaf
    for part in proof:
        if last == 0 or len(part) != HASH_BYTES:
            raise BadProofError("an inclusion proof of another length")
        if place & 1 or place == last:
            found = node_hash(part, found)
            while place & 1 == 0 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, part)
        place, last = place >> 1, last >> 1
    if last != 0 or found != root:
        raise BadProofError(f"leaf {index} is not under this root")


def check_consistency(
    *, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree was only added to (RFC 9162 2.1.4.2).

    Raises:
        BadProofError: It is not shown.
    """
    if not 0 <= old <= new:
        raise BadProofError(f"a tree of {new} leaves is smaller than one of {old}")
    if old in (0, new):
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise BadProofError(f"two trees of {old} leaves differ")
        return
    _check_growth(old, old_root, new, new_root, proof)


def _check_growth(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check a proof between two sizes that differ and are not 0."""
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    if not hashes or any(len(part) != HASH_BYTES for part in hashes):
        raise BadProofError("a consistency proof of another length")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = hashes[0]
    for part in hashes[1:]:
        if last == 0:
            raise BadProofError("a consistency proof of another length")
        if place & 1 or place == last:
            before, after = node_hash(part, before), node_hash(part, after)
            while place & 1 == 0 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, part)
        place, last = place >> 1, last >> 1
    if last != 0 or before != old_root or after != new_root:
        raise BadProofError(f"the tree of {new} leaves does not begin with that of {old}")
