"""The Merkle tree's arithmetic, against published vectors and its own definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    complete_root,
    leaf_hash,
    node_hash,
    root_of,
)

pytestmark = pytest.mark.pure

# The vectors of the Certificate Transparency reference implementation.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def defined(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash as RFC 6962 defines it, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


@pytest.mark.parametrize(("size", "root"), [*enumerate(ROOTS)])
def test_published_roots(size: int, root: str) -> None:
    """The published roots of the trees of nothing to eight leaves come out."""
    leaves = [leaf_hash(data) for data in LEAVES[:size]]
    assert root_of(leaves).hex() == root
    assert defined(leaves).hex() == root


def test_published_hashes() -> None:
    """A leaf and a node hash as published: each has a prefix of its own."""
    assert leaf_hash(b"L123456").hex() == (
        "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    )
    assert node_hash(b"N123", b"N456").hex() == (
        "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


def test_the_frontier_gives_the_defined_root_at_every_size() -> None:
    """From 0 to 130 leaves, the root grown leaf by leaf is the one defined."""
    tree = Frontier()
    leaves: list[bytes] = []
    for size in range(131):
        assert tree.size == size
        assert tree.root == defined(leaves)
        leaves.append(leaf_hash(b"%d" % size))
        tree.append(leaves[-1], [])


@given(st.lists(st.binary(max_size=8), max_size=130), st.integers(0, 130))
def test_a_frontier_can_be_put_aside(data: list[bytes], at: int) -> None:
    """Packed at any size and taken up again, it goes on to the same root."""
    leaves = [leaf_hash(item) for item in data]
    nodes: list[tuple[int, int, bytes]] = []
    tree = Frontier()
    for leaf in leaves[:at]:
        tree.append(leaf, nodes)
    tree = Frontier(tree.size, tree.packed)
    for leaf in leaves[at:]:
        tree.append(leaf, nodes)
    assert tree.root == defined(leaves) == root_of(leaves)
    for level, index, node in nodes:
        assert level
        assert node == defined(leaves[index << level : (index + 1) << level])
    assert len(nodes) == len(leaves) - len(leaves).bit_count()


@given(st.integers(0, 7).map(lambda level: 1 << level))
def test_a_complete_tree_at_once(size: int) -> None:
    """A power of two of leaves gives the same root level by level."""
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    assert complete_root(leaves) == root_of(leaves)


def test_a_frontier_of_another_size_is_refused() -> None:
    """Peaks that do not belong to the size are no tree."""
    with pytest.raises(ValueError, match="a tree of 3 has no 1 peaks"):
        Frontier(3, bytes(32))
