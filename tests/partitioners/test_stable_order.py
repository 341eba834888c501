import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioners.stable_order import stable_order

LIMITS = [1, 2, 2**16 - 1, 2**16, 2**16 + 1, 2**20, 2**32, 2**32 + 1, 2**50]


@settings(max_examples=100)
@given(st.sampled_from(LIMITS), st.integers(0, 300), st.integers(0, 2**32))
def test_it_is_numpys_stable_sort(below, count, seed):
    rng = np.random.default_rng(seed)
    values = rng.choice(rng.integers(0, below, 20), count)  # many are equal
    assert (stable_order(values, below) == np.argsort(values, kind="stable")).all()


@pytest.mark.parametrize("below", LIMITS)
def test_the_smallest_and_the_largest_value(below):
    values = np.array([below - 1, 0, below - 1, below // 2, 0])
    assert (stable_order(values, below) == np.argsort(values, kind="stable")).all()
