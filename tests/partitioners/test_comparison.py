from __future__ import annotations

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_checks import SEEDS
from scipy.sparse import csr_array
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from partitioners import LabelHistogram, Partition, PartitionError, Split, compare, make_partition
from partitioners import matching as matching_file
from partitioners.agreement import adjusted_rand, normalized_mutual_information
from partitioners.matching import match_clients

LABELS = np.arange(600) % 6


def made(seed: int = 0, **changes: object) -> Partition:
    options: dict = {
        "clients": 10,
        "train_labels": LABELS,
        "test_labels": LABELS[:120],
        "label_names": list("abcdef"),
        "skew_kind": "label",
        "data_fingerprint": "f" * 64,
    }
    return make_partition("dirichlet", {"alpha": 0.5}, seed=seed, **(options | changes))


def of(*owners: np.ndarray | list[int], clients: int, **provenance: object) -> Partition:
    """Train, and if given test, by the owner of each row; -1: nobody's."""
    splits = [Split.from_owners(np.asarray(values), clients) for values in owners]
    return Partition(dict(zip(("train", "test"), splits, strict=False)), dict(provenance))


def renumbered(partition: Partition, order: np.ndarray) -> Partition:
    """Client k becomes `order[k]`."""
    splits, place = {}, np.argsort(order)
    for name, split in partition.splits.items():
        parts = [split.client(k) for k in place]
        offsets = np.cumsum([0, *map(len, parts)])
        splits[name] = Split(np.concatenate(parts), offsets)
    old = partition.histogram
    assert old is not None
    cuts = [slice(old.offsets[k], old.offsets[k + 1]) for k in place]
    histogram = LabelHistogram(
        np.cumsum([0, *(cut.stop - cut.start for cut in cuts)]),
        np.concatenate([old.labels[cut] for cut in cuts]),
        np.concatenate([old.counts[cut] for cut in cuts]),
        old.names,
    )
    held_out = np.sort(order[partition.held_out])
    return Partition(splits, partition.provenance, held_out, histogram)


def moved(partition: Partition, rows: np.ndarray, content: np.ndarray, mark: str) -> Partition:
    """The same shares of the same content, which lies in other rows of train and test."""
    splits = {}
    for name, split in partition.splits.items():
        parts = [np.sort(rows[split.client(k)]) for k in range(split.clients)]
        indices = np.concatenate(parts)
        hashes = np.empty(len(content), dtype=np.uint64)
        hashes[rows] = content
        splits[name] = Split(indices, split.offsets, hashes[indices])
    provenance = {**partition.provenance, "data_fingerprint": mark}
    return Partition(splits, provenance, partition.held_out, partition.histogram)


@settings(deadline=None, max_examples=80)
@given(seed=SEEDS, rows=st.integers(1, 200), a=st.integers(1, 12), b=st.integers(1, 12))
def test_agreement_is_that_of_scikit_learn(seed: int, rows: int, a: int, b: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(-1, a, rows), rng.integers(-1, b, rows)
    first[0] = second[0] = 0
    if rng.random() < 0.3:
        second = np.where(rng.random(rows) < 0.9, first % b, second)
    found = compare(of(first, clients=a), of(second, clients=b)).splits["train"]
    both = (first >= 0) & (second >= 0)
    assert found.rows_a == (first >= 0).sum() and found.rows_b == (second >= 0).sum()
    assert found.rows_shared == both.sum()
    assert found.same_client == pytest.approx((first == second)[both].mean())
    wanted = adjusted_rand_score(first[both], second[both])
    assert found.adjusted_rand == pytest.approx(wanted, abs=1e-12)
    wanted = normalized_mutual_info_score(first[both], second[both])
    assert found.normalized_mutual_information == pytest.approx(wanted, abs=1e-9)
    assert -1 <= found.adjusted_rand <= 1 and 0 <= found.normalized_mutual_information <= 1


def test_agreement_does_not_overflow() -> None:
    """At 3 million rows the products of pairs are far beyond 64 bits."""
    counts = np.array([[1_000_000, 500_000], [250_000, 1_250_000]])
    a, b = np.repeat([0, 0, 1, 1], counts.ravel()), np.repeat([0, 1, 0, 1], counts.ravel())
    assert adjusted_rand(csr_array(counts)) == pytest.approx(adjusted_rand_score(a, b))
    wanted = normalized_mutual_info_score(a, b)
    assert normalized_mutual_information(csr_array(counts)) == pytest.approx(wanted)


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, a=st.integers(1, 6), b=st.integers(1, 6))
def test_no_matching_is_better(seed: int, a: int, b: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 9, (a, b)) * (rng.random((a, b)) < 0.5)
    table[rng.integers(a), rng.integers(b)] = 5
    first, second, exact = match_clients(csr_array(table))
    wide = table if a <= b else table.T
    rows = np.arange(len(wide))
    best = max(wide[rows, list(order)].sum() for order in permutations(range(max(a, b)), len(wide)))
    assert exact and table[first, second].sum() == best and (table[first, second] > 0).all()
    assert (np.diff(first) > 0).all() and len(set(second.tolist())) == len(second)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, a=st.integers(2, 12), b=st.integers(2, 12))
def test_the_greedy_matching_reaches_half_of_the_best(seed: int, a: int, b: int) -> None:
    rng = np.random.default_rng(seed)
    table = csr_array(rng.integers(1, 30, (a, b)))
    best = table[match_clients(table)[:2]].sum()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching_file, "CELLS", 1)
        first, second, exact = match_clients(table)
    assert not exact and len(first) == min(a, b) == len(set(second.tolist()))
    assert best >= table[first, second].sum() >= best / 2


@pytest.mark.parametrize("seed", range(3))
def test_a_partition_is_the_same_as_itself(seed: int) -> None:
    partition = made(seed, held_out=0.2)
    found = compare(partition, partition)
    assert found.identical and found.checksum_a == found.checksum_b and found.same_held_out
    for name, rows in (("train", 600), ("test", 120)):
        split = found.splits[name]
        assert split.same_rows and split.rows_shared == rows and split.compared_by == "row"
        assert split.same_client == split.matched_client == 1
        assert split.adjusted_rand == split.normalized_mutual_information == 1
    assert found.matching.a == found.matching.b == tuple(range(10)) and found.matching.exact
    assert set(found.matching.size_differences) == {0} and set(found.matching.distances or ()) == {
        0
    }


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS)
def test_other_client_numbers_are_found(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(10)
    partition = made(seed)
    found = compare(partition, renumbered(partition, order))
    assert found.identical == (order == np.arange(10)).all()
    assert found.matching.b == tuple(order.tolist()) and set(found.matching.distances or ()) == {0}
    for split in found.splits.values():
        assert split.same_rows and split.matched_client == 1
        assert split.adjusted_rand == split.normalized_mutual_information == 1
    shares = partition.splits["train"].sizes()[order == np.arange(10)].sum() / 600
    assert found.splits["train"].same_client == pytest.approx(shares)


def test_a_hundred_thousand_renumbered_clients_are_matched_exactly() -> None:
    rng = np.random.default_rng(0)
    owners, order = rng.permutation(np.arange(300_000) % 100_000), rng.permutation(100_000)
    found = compare(of(owners, clients=100_000), of(order[owners], clients=100_000))
    assert found.matching.exact and found.matching.b == tuple(order.tolist())
    assert found.splits["train"].adjusted_rand == 1


def test_swapping_the_two_swaps_what_is_found() -> None:
    a, b = made(0), made(1, clients=7)
    there, back = compare(a, b), compare(b, a)
    for name in ("train", "test"):
        one, other = there.splits[name], back.splits[name]
        assert (one.rows_a, one.rows_b) == (other.rows_b, other.rows_a)
        assert one.adjusted_rand == pytest.approx(other.adjusted_rand)
    assert there.splits["train"].matched_client == back.splits["train"].matched_client < 1
    assert sum(there.matching.rows) == sum(back.matching.rows)


def test_distances_and_sizes_of_matched_clients() -> None:
    a, b = made(0), made(1, clients=7)
    matching = compare(a, b).matching
    assert matching.distances is not None and len(matching.a) == 7
    for k, partner, rows, size, distance in zip(
        *(matching.a, matching.b, matching.rows, matching.size_differences, matching.distances),
        strict=True,
    ):
        mine, theirs = a.splits["train"].client(k), b.splits["train"].client(partner)
        assert rows == len(np.intersect1d(mine, theirs)) and size == len(theirs) - len(mine)
        mixes = [np.bincount(LABELS[held], minlength=6) for held in (mine, theirs)]
        assert distance == pytest.approx(jensenshannon(*mixes, base=2), abs=1e-7)


def test_labels_are_known_by_their_names() -> None:
    partition = made()
    owners = partition.splits["train"].owners(600)
    turned = LabelHistogram.count(5 - LABELS, owners, 10, tuple("fedcba"))
    same = Partition(partition.splits, partition.provenance, partition.held_out, turned)
    assert set(compare(partition, same).matching.distances or ()) == {0}
    unnamed = LabelHistogram.count(5 - LABELS, owners, 10)
    other = Partition(partition.splits, partition.provenance, partition.held_out, unnamed)
    assert max(compare(partition, other).matching.distances or ()) > 0.5


@pytest.mark.parametrize(
    ("first", "second", "measured"),
    [
        ({"skew": "label"}, {"skew": "topic"}, True),
        ({"skew": "cluster"}, {"skew": "cluster", "seed": 1}, True),
        ({}, {}, False),
    ],
)
def test_different_labels_have_no_distance(first: dict, second: dict, measured: bool) -> None:
    made_once = made()
    a, b = (
        Partition(made_once.splits, {**made_once.provenance, **change}, histogram=histogram)
        for change, histogram in (
            (first, made_once.histogram),
            (second, made_once.histogram if measured else None),
        )
    )
    found = compare(a, b)
    assert found.identical and found.matching.distances is None
    assert found.as_json()["matching"]["distances"] is None
    assert compare(a, a).matching.distances is not None


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, kinds=st.sampled_from([3, 50, 600]))
def test_other_data_is_compared_by_content(seed: int, kinds: int) -> None:
    """Rows in another order, some of equal content: the same shares if equal rows stay in order."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, 600)
    content = rng.integers(0, 2**63, kinds, dtype=np.uint64)[kind]
    rows = np.empty(600, dtype=np.int64)  # where each row goes: kinds change places as wholes
    rows[np.lexsort((np.arange(600), rng.permutation(kinds)[kind]))] = np.arange(600)
    partition = moved(made(seed), np.arange(600), content, "one")
    found = compare(partition, moved(partition, rows, content, "two"))
    assert found.splits["train"].compared_by == found.splits["test"].compared_by == "content"
    assert found.identical and found.splits["train"].adjusted_rand == 1
    assert compare(partition, moved(partition, rows, content, "one")).identical == (
        (rows == np.arange(600)).all()
    )


def test_by_content_only_what_is_in_both_counts() -> None:
    rng = np.random.default_rng(0)
    content = rng.integers(0, 2**63, 600, dtype=np.uint64)
    partition = moved(made(), np.arange(600), content, "one")
    content[:100] += np.uint64(1)
    found = compare(partition, moved(partition, np.arange(600), content, "two"))
    assert not found.identical and found.checksum_a == found.checksum_b
    train = found.splits["train"]
    assert (train.rows_shared, train.same_client, train.same_rows) == (500, 1, False)
    assert found.splits["test"].rows_shared == 20


def test_rows_of_other_splits_are_no_rows_to_compare() -> None:
    a = of([0, 1], clients=2, rows_of={"train": "train"})
    for counted in ({"rows_of": {"train": "validation"}}, {}):
        with pytest.raises(PartitionError, match=r"compare: .*count rows of train in one") as error:
            compare(a, of([0, 1], clients=2, **counted))
        assert "\n" not in str(error.value)


def test_other_data_without_hashes_is_refused() -> None:
    a, b = (of([0, 1], clients=2, data_fingerprint=mark) for mark in ("one", "two"))
    with pytest.raises(PartitionError, match=r"different data \(fingerprints one and two\)"):
        compare(a, b)
    unknown = of([0, 1], clients=2)
    assert compare(a, unknown).splits["train"].compared_by == "row"


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(PartitionError, match="share no row of train"):
        compare(of([0, 1, -1, -1], clients=2), of([-1, -1, 0, 1], clients=2))


def test_an_empty_test_split_has_no_agreement() -> None:
    a = of([0, 1], [-1, -1], clients=2)
    found = compare(a, a)
    test = found.splits["test"]
    assert found.identical and test.same_rows and test.rows_shared == 0
    assert test.same_client is test.adjusted_rand is test.normalized_mutual_information is None


def test_held_out_clients_and_missing_splits_are_differences() -> None:
    a = made()
    other = Partition(a.splits, a.provenance, np.array([3]), a.histogram)
    assert not compare(a, other).identical and not compare(a, other).same_held_out
    short = Partition({"train": a.splits["train"]}, a.provenance, a.held_out, a.histogram)
    found = compare(a, short)
    assert not found.identical and list(found.splits) == ["train"]


def test_json_is_plain() -> None:
    found = compare(made(0), made(1))
    plain = found.as_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["splits"]["train"]["same_rows"] is True
    assert plain["splits"]["train"]["adjusted_rand"] == found.splits["train"].adjusted_rand
    assert plain["matching"]["a"] == list(range(10)) and len(plain["matching"]["distances"]) == 10
