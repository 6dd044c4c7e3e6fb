"""RFC 6962 Merkle arithmetic: pure functions on bytes.

The log keeps a frontier: the roots of the complete subtrees along its right edge,
largest first, one for each bit set in its size. Appending a leaf touches only those.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()
HASH_BYTES: Final = 32


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of 0x00 and the data (RFC 6962, 2.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 of 0x01 and both children."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: enough to append and to tell the root.

    `nodes` gathers every complete node above the leaves that appending made, as
    `(level, index, hash)`, for the store to keep.
    """

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        self.size = size
        self._peaks = [
            packed[start : start + HASH_BYTES]
            for start in range(0, len(packed), HASH_BYTES)
        ]
        if len(self._peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} has no {len(self._peaks)} peaks")

    def append(self, leaf: bytes, nodes: list[tuple[int, int, bytes]]) -> None:
        """Take in a leaf's hash; add the complete nodes that it makes to `nodes`."""
        node, level, index = leaf, 0, self.size
        while index & 1:
            node = node_hash(self._peaks.pop(), node)
            level += 1
            index >>= 1
            nodes.append((level, index, node))
        self._peaks.append(node)
        self.size += 1

    @property
    def packed(self) -> bytes:
        """The peaks, one after another, largest first."""
        return b"".join(self._peaks)

    @property
    def root(self) -> bytes:
        """The root of the tree as it stands."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node


def complete_root(leaves: list[bytes]) -> bytes:
    """The root over leaf hashes whose number is a power of two, level by level."""
    row = leaves
    while len(row) > 1:
        pairs = iter(row)
        row = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=True)
        ]
    return row[0]


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, from the first."""
    frontier = Frontier()
    nodes: list[tuple[int, int, bytes]] = []
    for leaf in leaves:
        frontier.append(leaf, nodes)
        nodes.clear()
    return frontier.root
