"""Batch plans: every example once, little padding, few shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches import PlannedBatch, bucket, epoch_plan, evaluation_plan, token_budget_plan
from tasks.errors import DataError
from tasks.token_store import TokenStore


def a_store(lengths, rows_per_example=None, target_lengths=None, max_length=512):
    """Rows of the given lengths."""
    counts = rows_per_example or [1] * len(lengths)
    columns = {}
    if target_lengths is not None:
        columns["targets_offsets"] = torch.tensor(np.cumsum([0, *target_lengths]))
        columns["targets"] = torch.ones(sum(target_lengths), dtype=torch.int32)
    return TokenStore(
        tokens=torch.ones(sum(lengths), dtype=torch.int32),
        row_offsets=torch.tensor(np.cumsum([0, *lengths])),
        example_rows=torch.tensor(np.cumsum([0, *counts])),
        row_weight=torch.ones(len(lengths)),
        columns=columns,
        max_length=max_length,
        max_target_length=64 if target_lengths is not None else 0,
    )


@st.composite
def stores(draw):
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=60))
    rows = sum(counts)
    lengths = draw(st.lists(st.integers(1, 300), min_size=rows, max_size=rows))
    targets = None
    if draw(st.booleans()):
        counts = [1] * len(lengths)
        targets = draw(st.lists(st.integers(1, 64), min_size=rows, max_size=rows))
    return a_store(lengths, counts, targets, max_length=draw(st.sampled_from([300, 320, 512])))


def check_sizes(store, planned):
    """What a batch says about itself is what its rows are."""
    lengths = store.row_lengths[planned.rows]
    real, padded = lengths.sum(), len(planned.rows) * planned.length
    assert lengths.max() <= planned.length <= store.max_length
    assert planned.length in (bucket(np.array([lengths.max()]), store.max_length))
    if store.target_lengths is None:
        assert planned.target_length == 0
    else:
        targets = store.target_lengths[planned.rows]
        assert targets.max() <= planned.target_length <= store.max_target_length
        real, padded = (
            real + targets.sum(),
            padded + len(planned.rows) * planned.target_length,
        )
    assert (planned.real_tokens, planned.padded_tokens) == (real, padded)
    assert planned.rows.dtype == np.int64 and planned.fill == 0


def owners(store, planned):
    """Examples of a batch, in order; each brings all its rows."""
    examples = np.searchsorted(store.first_rows, planned.rows, side="right") - 1
    order = list(dict.fromkeys(examples.tolist()))
    expected = [np.arange(store.first_rows[e], store.first_rows[e + 1]) for e in order]
    assert np.array_equal(planned.rows, np.concatenate(expected))
    assert planned.examples == len(order)
    return order


@settings(max_examples=60, deadline=None)
@given(stores(), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99), st.data())
def test_an_epoch_has_every_example_once(store, batch_size, window, seed, data):
    share = data.draw(st.permutations(range(store.examples)))
    share = np.array(share[: data.draw(st.integers(0, store.examples))], np.int64)
    plan = epoch_plan(store, share, batch_size, np.random.default_rng(seed), window)
    seen = [owners(store, planned) for planned in plan]
    assert sorted(e for batch in seen for e in batch) == sorted(share.tolist())
    assert [len(batch) for batch in seen[:-1]] == [batch_size] * (len(seen) - 1)
    assert len(plan) == -(-len(share) // batch_size)
    for planned in plan:
        check_sizes(store, planned)
    again = epoch_plan(store, share, batch_size, np.random.default_rng(seed), window)
    assert np.array_equal(plan.rows, again.rows)
    assert plan.padded_tokens.tolist() == [planned.padded_tokens for planned in plan]


@settings(max_examples=60, deadline=None)
@given(stores(), st.integers(1, 4000), st.data())
def test_an_evaluation_has_every_example_once_within_the_budget(store, budget, data):
    share = data.draw(st.permutations(range(store.examples)))
    share = np.array(share[: data.draw(st.integers(0, store.examples))], np.int64)
    plan = evaluation_plan(store, share, budget)
    seen = [owners(store, planned) for planned in plan]
    assert [e for batch in seen for e in batch] == share[plan.order].tolist()
    assert sorted(plan.order.tolist()) == list(range(len(share)))
    for planned in plan:
        check_sizes(store, planned)
        assert planned.padded_tokens <= budget or planned.examples == 1
    lengths = store.example_lengths[share[plan.order]]
    assert (np.diff(lengths) <= 0).all()


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 2000), st.sampled_from([50, 100, 128, 200, 512, 2000]))
def test_buckets(length, longest):
    length = min(length, longest)
    (found,) = bucket(np.array([length]), longest)
    step = 8 if length <= 256 else 64
    assert found == min(longest, -(-length // step) * step)


def test_there_are_few_shapes():
    lengths = np.arange(1, 513)
    assert len(set(bucket(lengths, 512).tolist())) == 32 + 4


def test_seeds_and_epochs_differ():
    store = a_store([10] * 50)
    rng = np.random.default_rng(0)
    first, second = (epoch_plan(store, np.arange(50), 8, rng).rows for _ in range(2))
    assert not np.array_equal(first, second)


def test_grouping_by_length_saves_padding():
    rng = np.random.default_rng(0)
    store = a_store(rng.integers(4, 250, 512).tolist())
    grouped, random = (
        epoch_plan(store, np.arange(512), 8, np.random.default_rng(1), window).padded_tokens.sum()
        for window in (8, 1)
    )
    assert grouped < 0.8 * random


def test_the_order_of_batches_is_not_the_order_of_lengths():
    store = a_store(np.random.default_rng(0).integers(1, 250, 512).tolist())
    plan = epoch_plan(store, np.arange(512), 8, np.random.default_rng(1), 64)
    steps = np.diff(plan.lengths)
    assert (steps > 0).any() and (steps < 0).any()


def test_the_small_last_batch_is_not_the_longest_examples():
    store = a_store(list(range(1, 101)))
    means = []
    for seed in range(300):
        last = epoch_plan(store, np.arange(100), 8, np.random.default_rng(seed), 50)[-1]
        assert last.examples == 4
        means.append(store.row_lengths[last.rows].mean())
    assert abs(np.mean(means) - 50.5) < 3 * 28.9 / np.sqrt(4 * 300)


def test_a_fixed_shape_gets_rows_without_weight():
    store = a_store([3, 5, 7])
    (planned,) = epoch_plan(store, np.arange(3), 4, np.random.default_rng(0))
    fixed = planned.with_rows(4)
    assert fixed.rows.tolist() == [*planned.rows.tolist(), planned.rows[0]]
    assert (fixed.fill, fixed.examples, fixed.real_tokens) == (1, 3, 15)
    assert fixed.padded_tokens == 4 * 8
    assert fixed.with_rows(6).fill == 3


def test_a_plan_is_a_sequence():
    plan = epoch_plan(a_store([3] * 10), np.arange(10), 4, np.random.default_rng(0))
    assert np.array_equal(plan[-1].rows, list(plan)[2].rows)
    assert [len(planned.rows) for planned in plan[1:]] == [4, 2]
    with pytest.raises(IndexError):
        plan[3]


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused(size):
    store, rng = a_store([3]), np.random.default_rng(0)
    with pytest.raises(DataError, match=r"batch_size: .*at least 1"):
        epoch_plan(store, np.arange(1), size, rng)
    with pytest.raises(DataError, match=r"window_batches: .*at least 1"):
        epoch_plan(store, np.arange(1), 1, rng, size)
    with pytest.raises(DataError, match=r"tokens_per_batch: .*at least 1"):
        evaluation_plan(store, np.arange(1), size)


@given(stores(), st.integers(1, 4000), st.integers(0, 2**32))
def test_token_budget_plan_holds_every_example_once_and_its_limit(store, tokens, seed):
    asked = np.random.default_rng(seed).permutation(store.examples)[: store.examples // 2 + 1]
    plan = token_budget_plan(store, asked, tokens, np.random.default_rng(seed))
    assert sorted(asked[plan.order]) == sorted(asked) and plan.examples.sum() == len(asked)
    rows = [range(*store.first_rows[e : e + 2]) for e in asked]
    assert sorted(np.concatenate([b.rows for b in plan])) == sorted(np.concatenate(rows))
    for planned in plan:
        check_sizes(store, planned)
        assert planned.padded_tokens <= tokens or planned.examples == 1


def test_token_budget_plan_is_random_and_wastes_little():
    rng = np.random.default_rng(0)
    store = a_store(rng.integers(4, 250, 2000).tolist())
    plans = [
        token_budget_plan(store, np.arange(2000), 2048, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    assert (plans[0].order == plans[1].order).all() and (plans[0].order != plans[2].order).any()
    padded = plans[0].padded_tokens
    assert padded.sum() < 1.15 * plans[0].real_tokens.sum()
    assert np.median(padded) > 0.8 * 2048
    assert (np.diff(plans[0].lengths) > 0).mean() > 0.3  # lengths go up and down
    assert len(np.unique(plans[0].examples)) > 5


@pytest.mark.parametrize(("tokens", "window"), [(0, 16), (64, 0)])
def test_token_budget_plan_refuses(tokens, window):
    with pytest.raises(DataError):
        token_budget_plan(a_store([3, 4]), np.arange(2), tokens, np.random.default_rng(0), window)


def test_fill_stays_at_the_end_of_several_passes():
    planned = PlannedBatch(np.arange(5), 5, 10, 0, 50, 50).with_rows(8)
    parts = planned.passes(30)
    assert [len(part.rows) for part in parts] == [3, 3, 2]
    assert [part.fill for part in parts] == [0, 1, 2]
