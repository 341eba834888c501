from __future__ import annotations

import json

import numpy as np
import pytest

from partitioners import Partition, PartitionError, Split, compare, make_partition
from partitioners.tables import client_rows, comparison_rows, method, summary

LABELS = np.arange(400) % 5


def made(seed: int = 0) -> Partition:
    return make_partition(
        "dirichlet",
        {"alpha": 0.1},
        clients=8,
        seed=seed,
        train_labels=LABELS,
        test_labels=LABELS[:100],
        label_names=list("abcde"),
        held_out=0.25,
        skew_kind="label",
    )


BARE = Partition({"train": Split(np.array([0, 2, 1]), np.array([0, 2, 3]))}, {})


def test_client_rows_count_what_is_held() -> None:
    partition = made()
    rows = client_rows(partition, top=2)
    assert [row["client"] for row in rows] == list(range(8))
    assert sum(row["held_out"] for row in rows) == len(partition.held_out) == 2
    for row in rows:
        assert row["held_out"] == (row["client"] in partition.held_out)
        counts = np.bincount(LABELS[partition.splits["train"].client(row["client"])], minlength=5)
        assert row["sizes"]["train"] == counts.sum()
        assert row["labels"] == np.count_nonzero(counts)
        largest = sorted(zip(counts.tolist(), "abcde", strict=True), key=lambda i: (-i[0], i[1]))
        assert row["top"] == [[name, count] for count, name in largest[:2] if count]
    assert sum(row["sizes"]["test"] for row in rows) == 100
    assert json.loads(json.dumps(rows)) == rows


def test_client_rows_of_some_clients() -> None:
    assert [row["client"] for row in client_rows(made(), [7, 2])] == [7, 2]
    for k in (-1, 8):
        with pytest.raises(PartitionError, match=f"clients: client {k}; expected numbers from 0"):
            client_rows(made(), [k])
    row = {"client": 1, "held_out": False, "sizes": {"train": 1}, "labels": None, "top": None}
    assert client_rows(BARE)[1] == row


def test_summary_says_what_was_asked_and_achieved() -> None:
    partition = made()
    rows = dict(summary(partition))
    assert rows["partitioner"] == method(partition) == "dirichlet, alpha=0.1"
    assert rows["clients"] == "8" and rows["seed"] == "0" and rows["checksum"] == partition.checksum
    assert rows["train examples per client"] == "50 to 50, mean 50.0"
    achieved = partition.provenance["achieved"]
    assert rows["mean pairwise JS distance"] == f"{achieved['js_distance']:.4g}"
    assert rows["Gini coefficient of sizes"] == "0" and rows["held-out clients"] == "2"
    assert rows["train examples given out"] == "400"


def test_summary_takes_what_later_versions_measure_and_leaves_out_what_is_unknown() -> None:
    partition = made()
    achieved = {**partition.provenance["achieved"], "js_distance_stderr": 0.01, "new_one": 0.5}
    more = Partition(partition.splits, {**partition.provenance, "achieved": achieved})
    rows = dict(summary(more))
    assert rows["new one"] == "0.5"
    assert rows["mean pairwise JS distance"].endswith(" (standard error 0.01)")
    assert [name for name, _ in summary(BARE)] == [
        "partitioner",
        "train examples per client",
        "held-out clients",
        "checksum",
    ]
    assert method(BARE) == "unknown partitioner"


def test_comparison_rows() -> None:
    same = dict(comparison_rows(compare(made(), made())))
    assert same["the same partition"] == "yes" and same["train adjusted Rand index"] == "1"
    assert same["train rows with the client of the same number"] == "100.0%"
    assert same["matched clients"] == "8 (best)"
    assert same["JS distance of their label mixes"] == "mean 0.000, at most 0.000"
    found = compare(made(0), made(1))
    other = dict(comparison_rows(found))
    assert other["the same partition"] == "no"
    share = found.splits["train"].matched_client
    assert other["train rows with the matched client"] == f"{share:.1%}"
    assert "JS distance of their label mixes" not in dict(comparison_rows(compare(BARE, BARE)))


def test_summary_of_what_has_no_number() -> None:
    achieved = {"sizes": {"gini": 1.981e-05}, "effective_alpha": None, "train_examples": 7532}
    known = {"seed": 7532, "test_share": "skew_label", "achieved": achieved}
    rows = dict(summary(Partition(BARE.splits, known)))
    assert rows["Gini coefficient of sizes"] == "below 0.0001"
    assert rows["effective alpha"] == "- (one label in all, or one example per client)"
    assert rows["train examples given out"] == "7,532" and rows["seed"] == "7532"
    assert rows["test share follows"] == "the labels held in train"
    assert (
        dict(summary(Partition(BARE.splits, {"achieved": {"effective_alpha": 1e6}})))[
            "effective alpha"
        ]
        == "1,000,000"
    )
