"""Proofs of RFC 6962: published vectors, every leaf at every size, nothing altered."""

from __future__ import annotations

from functools import cache

import pytest
from test_merkle import LEAVES, ROOTS

from ledger.errors import IntegrityFailure
from ledger.tlog.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of
from ledger.tlog.proofs import (
    prove_consistency,
    prove_inclusion,
    root_at,
    verify_consistency,
    verify_inclusion,
)

pytestmark = pytest.mark.pure

# Paths of the Certificate Transparency reference tests, for the leaves in test_merkle;
# leaves are counted from 1 there.
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
G = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
K = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = [
    (1, 1, ()),
    (1, 8, (A, B, C)),
    (6, 8, (D, E, F)),
    (3, 3, (G,)),
    (2, 5, (H, B, D)),
]
L = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
CONSISTENCY = [
    (1, 1, ()),
    (1, 8, (A, B, C)),
    (6, 8, (K, E, F)),
    (2, 5, (B, D)),
    (6, 7, (K, L, F)),
]
MOST = 130
HASHES = [leaf_hash(bytes([number])) for number in range(MOST)]
TREES = [root_of(HASHES[:size]) for size in range(MOST + 1)]


def over(leaves):
    """A node source over some leaf hashes."""

    @cache
    def node(level, index):
        if level == 0:
            return leaves[index]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


NODES = over(HASHES)
PUBLISHED = over([leaf_hash(leaf) for leaf in LEAVES])


def unhex(texts):
    """Hashes from hexadecimal."""
    return [bytes.fromhex(text) for text in texts]


@pytest.mark.parametrize(("leaf", "size", "path"), INCLUSION)
def test_published_audit_paths(leaf, size, path):
    """The published audit paths are made, and lead to the published roots."""
    proof = prove_inclusion(leaf - 1, size, PUBLISHED)
    assert proof == unhex(path)
    root = bytes.fromhex(ROOTS[size])
    verify_inclusion(leaf_hash(LEAVES[leaf - 1]), leaf - 1, size, proof, root)


@pytest.mark.parametrize(("old", "size", "path"), CONSISTENCY)
def test_published_consistency_proofs(old, size, path):
    """The published consistency proofs are made, and join the published roots."""
    proof = prove_consistency(old, size, PUBLISHED)
    assert proof == unhex(path)
    roots = [bytes.fromhex(ROOTS[at]) for at in (old, size)]
    verify_consistency(old, roots[0], size, roots[1], proof)


def altered(proof):
    """The proof with each hash altered, dropped, doubled or swapped with the next."""
    for place, one in enumerate(proof):
        before, after = proof[:place], proof[place + 1 :]
        yield [*before, bytes([one[0] ^ 0x80]) + one[1:], *after]
        yield [*before, one[:-1] + bytes([one[-1] ^ 1]), *after]
        yield [*before, one[:-1], *after]
        yield [*before, *after]
        yield [*before, one, one, *after]
        if after and after[0] != one:
            yield [*before, after[0], one, *after[1:]]
    yield [*proof, bytes(32)]
    yield [bytes(32), *proof]


def test_every_leaf_at_every_size():
    """Each leaf of each tree up to 130 is proved, and no altered proof is taken."""
    for size in range(1, MOST + 1):
        root = TREES[size]
        assert root_at(size, NODES) == root
        for index in range(size):
            proof = prove_inclusion(index, size, NODES)
            verify_inclusion(HASHES[index], index, size, proof, root)
            for wrong in altered(proof):
                with pytest.raises(IntegrityFailure):
                    verify_inclusion(HASHES[index], index, size, wrong, root)


def test_a_proof_is_of_one_leaf_one_place_and_one_size():
    """The same hashes prove no other leaf, at no other place, in no other tree."""
    for size in range(1, 40):
        for index in range(size):
            proof = prove_inclusion(index, size, NODES)
            for other in {*range(size + 1)} - {index}:
                with pytest.raises(IntegrityFailure):
                    verify_inclusion(HASHES[index], other, size, proof, TREES[size])
            for leaf in ({*range(size)} - {index}) & {0, size - 1, index ^ 1}:
                with pytest.raises(IntegrityFailure):
                    verify_inclusion(HASHES[leaf], index, size, proof, TREES[size])
            with pytest.raises(IntegrityFailure):
                verify_inclusion(HASHES[index], index, size, proof, TREES[size + 1])
    with pytest.raises(IntegrityFailure, match="no leaf -1"):
        verify_inclusion(HASHES[0], -1, 1, [], TREES[1])


def test_every_size_continues_every_smaller_one():
    """Each pair of sizes up to 130 is proved consistent, and no altered proof is taken."""
    for size in range(MOST + 1):
        for old in range(size + 1):
            proof = prove_consistency(old, size, NODES)
            verify_consistency(old, TREES[old], size, TREES[size], proof)
            for wrong in altered(proof):
                with pytest.raises(IntegrityFailure):
                    verify_consistency(old, TREES[old], size, TREES[size], wrong)


def test_a_fork_is_not_consistent():
    """A tree that parts from the other, in any leaf or in its size, is refused."""
    for size in range(2, 40):
        forked = over([*HASHES[: size - 1], leaf_hash(b"other"), *HASHES[size:]])
        for old in range(1, size + 1):
            wrong = root_at(old, forked) if old == size else EMPTY_ROOT
            proof = prove_consistency(old, size, NODES)
            with pytest.raises(IntegrityFailure):
                verify_consistency(old, wrong, size, TREES[size], proof)
            root = root_at(size, forked)
            with pytest.raises(IntegrityFailure):
                verify_consistency(old, TREES[old], size, root, proof)
    with pytest.raises(IntegrityFailure, match="does not begin with one of 3"):
        verify_consistency(3, TREES[3], 2, TREES[2], [])
    with pytest.raises(IntegrityFailure, match="shorter"):
        verify_consistency(3, TREES[3], 5, TREES[5], [])
    with pytest.raises(IntegrityFailure, match="old root"):
        verify_consistency(0, TREES[1], 2, TREES[2], [])
