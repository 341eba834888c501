"""The hash of an example: by its definition, for all four tasks."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pytest
from datasets import Dataset

from tasks.example_hash import example_hashes
from tasks.schema import features

CASES = {
    "text_classification": ({"text": "a b", "label": 1}, ["x", "y"], "a b\x1fy"),
    "sequence_tagging": (
        {"words": ["Ada", "sleeps"], "tags": [1, 0]}, ["O", "B-PER"], "Ada\x1esleeps\x1fB-PER\x1eO"
    ),
    "question_answering": (
        {"id": "1", "question": "q?", "context": "in a", "title": "t",
         "answers": {"text": ["in", "a"], "start": [0, 3]}},
        [], "q?\x1fin a\x1fin\x1ea\x1f0\x1e3",
    ),
    "seq2seq": ({"input": "ü", "targets": ["a", "b"]}, [], "ü\x1fa\x1eb"),
}  # fmt: skip


@pytest.mark.parametrize("task", CASES)
def test_as_defined(task):
    row, labels, text = CASES[task]
    rows = [{**row, "row": i, "client": str(i), "source": ""} for i in range(3)]
    data = Dataset.from_list(rows, features=features(task))
    expected = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")
    found = example_hashes(task, data.data, labels)
    assert found.dtype == np.uint64 and list(found) == [expected] * 3
