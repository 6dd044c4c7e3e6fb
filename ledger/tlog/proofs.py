"""Inclusion and consistency proofs of RFC 6962, made and verified: pure functions.

A prover asks a `Nodes` for the roots of complete subtrees; a verifier has the proof
alone. Indexes count from 0, as in the RFC; an event's index is its position less one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.errors import IntegrityFailure
from ledger.tlog.merkle import EMPTY_ROOT, HASH_BYTES, node_hash

Nodes = Callable[[int, int], bytes]
"""The root of the complete subtree of 2^level leaves that begins at index × 2^level."""


def root_at(size: int, nodes: Nodes) -> bytes:
    """The root of the tree over the first `size` leaves."""
    return _range_root(0, size, nodes) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """The audit path of a leaf in the tree over the first `size` leaves."""
    assert 0 <= index < size, (index, size)
    return _path(index, 0, size, nodes)


def prove_consistency(old: int, size: int, nodes: Nodes) -> list[bytes]:
    """The proof that the tree of `size` leaves begins with that of `old`."""
    assert 0 <= old <= size, (old, size)
    return _subproof(old, 0, size, nodes, whole=True) if 0 < old < size else []


def _split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_root(start: int, stop: int, nodes: Nodes) -> bytes:
    """The root over leaves from `start`, a multiple of the range's own width."""
    size = stop - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, start >> level)
    middle = start + _split(size)
    return node_hash(
        _range_root(start, middle, nodes), _range_root(middle, stop, nodes)
    )


def _path(index: int, start: int, stop: int, nodes: Nodes) -> list[bytes]:
    if stop - start == 1:
        return []
    middle = start + _split(stop - start)
    if index < middle:
        return [*_path(index, start, middle, nodes), _range_root(middle, stop, nodes)]
    return [*_path(index, middle, stop, nodes), _range_root(start, middle, nodes)]


def _subproof(
    old: int, start: int, stop: int, nodes: Nodes, *, whole: bool
) -> list[bytes]:
    """The RFC's SUBPROOF; `whole` while the old tree begins where this range does."""
    if old == stop:
        return [] if whole else [_range_root(start, stop, nodes)]
    middle = start + _split(stop - start)
    if old <= middle:
        left = _subproof(old, start, middle, nodes, whole=whole)
        return [*left, _range_root(middle, stop, nodes)]
    right = _subproof(old, middle, stop, nodes, whole=False)
    return [*right, _range_root(start, middle, nodes)]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """IntegrityFailure unless the proof leads from a leaf's hash to the root."""
    if not 0 <= index < size:
        raise IntegrityFailure(f"There is no leaf {index} in a tree of {size}.")
    _check_hashes([leaf, *proof])
    place, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise IntegrityFailure("The proof is longer than the tree is deep.")
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        place >>= 1
        last >>= 1
    if last:
        raise IntegrityFailure("The proof is shorter than the tree is deep.")
    if node != root:
        raise IntegrityFailure(
            f"The proof leads to {node.hex()}, and the tree's root is {root.hex()}."
        )


def verify_consistency(
    old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """IntegrityFailure unless the proof shows one tree to begin with the other."""
    if not 0 <= old <= size:
        raise IntegrityFailure(f"A tree of {size} does not begin with one of {old}.")
    _check_hashes(proof)
    if old in {0, size}:
        if proof:
            raise IntegrityFailure("The proof has hashes where it needs none.")
        before, after = (EMPTY_ROOT if old == 0 else root), root
    else:
        before, after = _walk(old, old_root, size, proof)
    for name, found, given in (("old", before, old_root), ("new", after, root)):
        if found != given:
            raise IntegrityFailure(
                f"The proof leads to the {name} root {found.hex()}, "
                f"and it is {given.hex()}: one does not continue the other."
            )


def _walk(
    old: int, old_root: bytes, size: int, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """Both roots, as the proof's hashes build them up from the old tree's edge."""
    place, last = old - 1, size - 1
    while place & 1:
        place >>= 1
        last >>= 1
    # Where the old tree is complete, its root is where the proof begins.
    hashes = list(proof) if place else [old_root, *proof]
    if not hashes:
        raise IntegrityFailure("The proof is shorter than the tree is deep.")
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise IntegrityFailure("The proof is longer than the tree is deep.")
        if place & 1 or place == last:
            before = node_hash(sibling, before)
            after = node_hash(sibling, after)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            after = node_hash(after, sibling)
        place >>= 1
        last >>= 1
    if last:
        raise IntegrityFailure("The proof is shorter than the tree is deep.")
    return before, after


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise IntegrityFailure(f"A hash of {HASH_BYTES} bytes was expected.")
