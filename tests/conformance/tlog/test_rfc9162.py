"""Published vectors, every proof for every size up to 130 against the recursive definitions, and proofs that lie.

The eight-leaf vectors are those of RFC 6962's reference tests (certificate-transparency-go, merkletree_test.cc).
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.merkle import (
    EMPTY_ROOT,
    BadProof,
    Frontier,
    Subtree,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    prove,
    verify_consistency,
    verify_inclusion,
)

LARGEST = 130
REFERENCE_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(number.to_bytes(2)) for number in range(LARGEST)]


@cache
def mth(begin: int, end: int) -> bytes:
    """RFC 9162 2.1.1, by its recursive definition."""
    if begin == end:
        return hashlib.sha256(b"").digest()
    if end - begin == 1:
        return LEAVES[begin]
    middle = begin + power_below(end - begin)
    return hashlib.sha256(b"\x01" + mth(begin, middle) + mth(middle, end)).digest()


def power_below(size: int) -> int:
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def path(index: int, begin: int, end: int) -> list[bytes]:
    """RFC 9162 2.1.3.1, by its recursive definition."""
    if end - begin == 1:
        return []
    middle = begin + power_below(end - begin)
    if index < middle:
        return [*path(index, begin, middle), mth(middle, end)]
    return [*path(index, middle, end), mth(begin, middle)]


def subproof(old: int, begin: int, end: int, *, whole: bool) -> list[bytes]:
    """RFC 9162 2.1.4.1, by its recursive definition; ``old`` counts from 0."""
    if old == end:
        return [] if whole else [mth(begin, end)]
    middle = begin + power_below(end - begin)
    if old <= middle:
        return [*subproof(old, begin, middle, whole=whole), mth(middle, end)]
    return [*subproof(old, middle, end, whole=False), mth(begin, middle)]


def lookup(subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
    return {tree: mth(tree.index << tree.level, (tree.index + 1) << tree.level) for tree in subtrees}


def test_the_roots_are_those_of_the_reference_tests() -> None:
    edge = Frontier()
    assert (
        edge.root() == EMPTY_ROOT == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    )
    for leaf, root in zip(REFERENCE_LEAVES, REFERENCE_ROOTS, strict=True):
        list(edge.append(leaf_hash(bytes.fromhex(leaf))))
        assert edge.root().hex() == root


def test_the_growing_edge_has_the_root_of_the_definition_at_every_size() -> None:
    edge = Frontier()
    for size in range(1, LARGEST + 1):
        for subtree, digest in edge.append(LEAVES[size - 1]):
            assert lookup([subtree])[subtree] == digest
        assert edge.root() == mth(0, size)
        assert Frontier.load(size, lookup).root() == mth(0, size)


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_inclusion_proof_is_the_defined_one_and_verifies(size: int) -> None:
    for index in range(size):
        proof = prove(inclusion_ranges(index, size), lookup)
        assert proof == path(index, 0, size)
        verify_inclusion(LEAVES[index], index, size, proof, mth(0, size))


@pytest.mark.parametrize("new", range(1, LARGEST + 1))
def test_every_consistency_proof_is_the_defined_one_and_verifies(new: int) -> None:
    for old in range(1, new + 1):
        proof = prove(consistency_ranges(old, new), lookup)
        assert proof == subproof(old, 0, new, whole=True)
        verify_consistency(old, new, proof, mth(0, old), mth(0, new))


SIZES = st.integers(2, LARGEST)


@given(st.data())
def test_no_inclusion_proof_survives_a_change(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    proof = prove(inclusion_ranges(index, size), lookup)
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    wrong = data.draw(
        st.sampled_from([[*proof[:place], flipped, *proof[place + 1 :]], proof[:-1], [*proof, proof[0]], []])
    )
    with pytest.raises(BadProof):
        verify_inclusion(LEAVES[index], index, size, wrong, mth(0, size))
    with pytest.raises(BadProof):
        verify_inclusion(LEAVES[(index + 1) % size], index, size, proof, mth(0, size))
    with pytest.raises(BadProof):
        verify_inclusion(LEAVES[index], size, size, proof, mth(0, size))


@given(st.data())
def test_no_consistency_proof_survives_a_change(data: st.DataObject) -> None:
    new = data.draw(SIZES)
    old = data.draw(st.integers(1, new - 1))
    proof = prove(consistency_ranges(old, new), lookup)
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    wrong = data.draw(
        st.sampled_from([[*proof[:place], flipped, *proof[place + 1 :]], proof[:-1], [*proof, proof[0]], []])
    )
    with pytest.raises(BadProof):
        verify_consistency(old, new, wrong, mth(0, old), mth(0, new))
    with pytest.raises(BadProof):
        verify_consistency(old, new, proof, mth(0, new), mth(0, new))


@pytest.mark.parametrize(
    ("old", "new", "proof", "old_root"),
    [
        (0, 5, [LEAVES[0]], EMPTY_ROOT),
        (0, 5, [], mth(0, 1)),
        (5, 5, [LEAVES[0]], mth(0, 5)),
        (5, 5, [], mth(0, 4)),
        (6, 5, [], mth(0, 5)),
        (-1, 5, [], EMPTY_ROOT),
    ],
)
def test_trivial_and_impossible_growth_is_checked_too(old: int, new: int, proof: list[bytes], old_root: bytes) -> None:
    with pytest.raises(BadProof):
        verify_consistency(old, new, proof, old_root, mth(0, 5))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_proof_is_made_for_a_leaf_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_ranges(index, size)


def test_an_edge_of_the_wrong_width_is_refused() -> None:
    with pytest.raises(ValueError, match="2 edge hashes, not 1"):
        Frontier(3, [LEAVES[0]])


def reference(subtrees: Sequence[Subtree]) -> Mapping[Subtree, bytes]:
    """The complete subtrees of the eight reference leaves."""
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in REFERENCE_LEAVES]

    def root(begin: int, end: int) -> bytes:
        if end - begin == 1:
            return leaves[begin]
        middle = (begin + end) // 2
        return hashlib.sha256(b"\x01" + root(begin, middle) + root(middle, end)).digest()

    return {one: root(one.index << one.level, (one.index + 1) << one.level) for one in subtrees}


A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"


@pytest.mark.parametrize(
    ("index", "size", "hashes"),
    [
        (0, 1, []),
        (0, 8, [A, B, C]),
        (5, 8, [D, E, REFERENCE_ROOTS[3]]),
        (2, 3, [REFERENCE_ROOTS[1]]),
        (1, 5, [REFERENCE_ROOTS[0], B, D]),
    ],
)
def test_inclusion_proofs_are_those_of_the_reference_tests(index: int, size: int, hashes: list[str]) -> None:
    proof = prove(inclusion_ranges(index, size), reference)
    assert [one.hex() for one in proof] == hashes
    leaf = leaf_hash(bytes.fromhex(REFERENCE_LEAVES[index]))
    verify_inclusion(leaf, index, size, proof, bytes.fromhex(REFERENCE_ROOTS[size - 1]))


@pytest.mark.parametrize(
    ("old", "new", "hashes"),
    [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [F, E, REFERENCE_ROOTS[3]]), (2, 5, [B, D])],
)
def test_consistency_proofs_are_those_of_the_reference_tests(old: int, new: int, hashes: list[str]) -> None:
    proof = prove(consistency_ranges(old, new), reference)
    assert [one.hex() for one in proof] == hashes
    roots = (bytes.fromhex(REFERENCE_ROOTS[size - 1]) for size in (old, new))
    verify_consistency(old, new, proof, *roots)


@given(st.integers(0, LARGEST), st.integers(0, 6))
def test_an_edge_that_grows_by_subtrees_is_the_one_that_grows_by_leaves(size: int, level: int) -> None:
    size = size >> level << level
    edge, other = Frontier(), Frontier()
    for index in range(size >> level):
        edge.extend(level, mth(index << level, (index + 1) << level))
    for leaf in LEAVES[:size]:
        list(other.append(leaf))
    assert (edge.size, edge.root()) == (other.size, other.root())
    if level and size < LARGEST:
        edge.extend(0, LEAVES[size])
        with pytest.raises(ValueError, match="no subtree of level"):
            edge.extend(level, LEAVES[0])
