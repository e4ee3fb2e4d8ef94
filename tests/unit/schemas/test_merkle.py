"""The tree of RFC 6962: the reference vectors of Certificate Transparency, and their edges."""

from __future__ import annotations

import pytest

from schemas.merkle import (
    EMPTY_ROOT,
    BadProofError,
    Frontier,
    check_consistency,
    check_inclusion,
    frontier_of,
    leaf_hash,
    nodes_over,
    prove_consistency,
    prove_inclusion,
    root_of,
)

# Entries, roots and proofs of the reference implementation of RFC 6962.
ENTRIES = (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSIONS: tuple[tuple[int, int, list[str]], ...] = (  # leaf, size, proof
    (0, 1, []),
    (0, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
)  # fmt: skip
CONSISTENCIES: tuple[tuple[int, int, list[str]], ...] = (  # old, new, proof
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
    (6, 7, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
)  # fmt: skip
LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES]


def hashes(proof: list[str]) -> list[bytes]:
    return [bytes.fromhex(part) for part in proof]


def root(size: int) -> bytes:
    return bytes.fromhex(ROOTS[size - 1])


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_of_the_reference(size: int) -> None:
    assert root_of(LEAVES[:size]) == root(size)
    assert frontier_of(size, nodes_over(LEAVES)).root == root(size)


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_the_inclusion_proofs_of_the_reference(index: int, size: int, proof: list[str]) -> None:
    assert prove_inclusion(index, size, nodes_over(LEAVES)) == hashes(proof)
    check_inclusion(LEAVES[index], index, size=size, root=root(size), proof=hashes(proof))


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCIES)
def test_the_consistency_proofs_of_the_reference(old: int, new: int, proof: list[str]) -> None:
    assert prove_consistency(old, new, nodes_over(LEAVES)) == hashes(proof)
    check_consistency(old=old, old_root=root(old), new=new, new_root=root(new), proof=hashes(proof))


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_no_corrupted_inclusion_proof_is_accepted(index: int, size: int, proof: list[str]) -> None:
    parts, some = hashes(proof), bytes(31) + b"\x01"
    wrong: list[tuple[bytes, int, int, bytes, list[bytes]]] = [
        (LEAVES[index], index - 1, size, root(size), parts),
        (LEAVES[index], index + 1, size, root(size), parts),
        (LEAVES[index], index ^ 2, size, root(size), parts),
        (LEAVES[index], index, size * 2, root(size), parts),
        (LEAVES[index], index, size // 2, root(size), parts),
        (some, index, size, root(size), parts),
        (LEAVES[index], index, size, EMPTY_ROOT, parts),
        (LEAVES[index], index, size, root(size), [*parts, b""]),
        (LEAVES[index], index, size, root(size), [*parts, root(size)]),
        (LEAVES[index], index, size, root(size), [root(size), *parts]),
    ]
    for place, part in enumerate(parts):
        flipped = bytes([part[0] ^ 8]) + part[1:]
        bent = [*parts[:place], flipped, *parts[place + 1 :]]
        wrong.append((LEAVES[index], index, size, root(size), bent))
    if parts:
        wrong.append((LEAVES[index], index, size, root(size), parts[:-1]))
    for leaf, at, of, under, bent in wrong:
        with pytest.raises(BadProofError):
            check_inclusion(leaf, at, size=of, root=under, proof=bent)


@pytest.mark.parametrize(("old", "new", "proof"), [c for c in CONSISTENCIES if c[2]])
def test_no_corrupted_consistency_proof_is_accepted(old: int, new: int, proof: list[str]) -> None:
    parts = hashes(proof)
    wrong: list[tuple[int, int, bytes, bytes, list[bytes]]] = [
        (old - 1, new, root(old), root(new), parts),
        (old + 1, new, root(old), root(new), parts),
        (old ^ 2, new, root(old), root(new), parts),
        (old, new * 2, root(old), root(new), parts),
        (old, new // 2, root(old), root(new), parts),
        (old, new, EMPTY_ROOT, root(new), parts),
        (old, new, root(old), EMPTY_ROOT, parts),
        (old, new, root(new), root(old), parts),
        (old, new, root(old), root(new), []),
        (old, new, root(old), root(new), parts[:-1]),
        (old, new, root(old), root(new), [*parts, root(new)]),
        (old, new, root(old), root(new), [root(old), *parts]),
        (old, new, root(old), root(new), [*parts, b""]),
    ]
    for place, part in enumerate(parts):
        flipped = bytes([part[0] ^ 16]) + part[1:]
        bent = [*parts[:place], flipped, *parts[place + 1 :]]
        wrong.append((old, new, root(old), root(new), bent))
    for before, after, old_root, new_root, bent in wrong:
        with pytest.raises(BadProofError):
            check_consistency(
                old=before, old_root=old_root, new=after, new_root=new_root, proof=bent
            )


def test_two_trees_of_one_size_are_consistent_only_if_equal() -> None:
    check_consistency(old=0, old_root=EMPTY_ROOT, new=3, new_root=root(3), proof=[])
    check_consistency(old=3, old_root=root(3), new=3, new_root=root(3), proof=[])
    for old, old_root in ((3, root(4)), (0, root(1))):
        with pytest.raises(BadProofError):
            check_consistency(old=old, old_root=old_root, new=3, new_root=root(3), proof=[])
