"""What `skip_bad` passes over: never more rows than it counts."""

from __future__ import annotations

import pytest

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError

GOOD = "".join(f"{n % 2},text {n}\n" for n in range(20))


def load(tmp_path, content, skip_bad):
    (tmp_path / "train.csv").write_text(f"label,text\n{content}", encoding="utf-8")
    (tmp_path / "test.csv").write_text("label,text\n0,a\n1,b\n", encoding="utf-8")
    local = {"reader": "table", "files": {"train": "train.csv", "test": "test.csv"}}
    card = DatasetCard.parse({
        "name": "x", "task": "text_classification", "version": 1, "licence": "l",
        "language": "en", "description": "d", "skew": "label", "local": local,
    }, "x.yaml")  # fmt: skip
    return load_corpus(card, data_root=tmp_path, cache_dir=tmp_path / "c", skip_bad=skip_bad)


def test_an_open_quote_does_not_lose_the_rest_of_a_file(tmp_path):
    with pytest.raises(DataError, match=r"train.csv line 7: a quote that is not closed"):
        load(tmp_path, GOOD[: GOOD.index("1,text 5")] + '1,"text 5\n' + GOOD, 1000)


def test_a_bad_row_counts_every_line_that_it_took(tmp_path):
    swallowed = '1,"first\n1,second\n1,third"x\n'
    with pytest.raises(
        DataError, match=r"line 4: part of the row that is bad at .*train.csv line 2"
    ):
        load(tmp_path, swallowed + GOOD, 2)
    assert len(load(tmp_path, swallowed + GOOD, 3).skipped) == 3
