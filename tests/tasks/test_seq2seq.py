"""Sequence to sequence: shifted labels, greedy generation, ROUGE."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import List, Value
from tiny_tasks import (
    dataset,
    generator_for,
    in_order,
    longer,
    sentences,
    tokenizer,
    whole_batch,
)

from tasks.batches import evaluation_plan
from tasks.errors import DataError
from tasks.seq2seq import Seq2Seq, shift_right
from tasks.task import TokenSettings

ARCHITECTURES = ["bart", "t5", "encoder-decoder"]
KINDS = {"targets": List(Value("string"))}


def a_task(max_length=32, max_target_length=12):
    return Seq2Seq([], TokenSettings(max_length, 4, max_target_length))


def examples(count=10, seed=0):
    targets = [[text] for text in sentences(count, 8, seed + 100)]
    return dataset(KINDS, input=sentences(count, 12, seed), targets=targets)


def style(architecture):
    return "t5" if architecture == "t5" else "bert"


@pytest.mark.parametrize("name", ["bert", "roberta", "t5"])
def test_targets_are_what_the_tokenizer_gives(name):
    table = examples(20)
    task = a_task(max_target_length=6)
    store = task.encode(table, tokenizer(name), training=True)
    texts = [texts[0] for texts in table["targets"]]
    expected = tokenizer(name)(text_target=texts, truncation=True, max_length=6)["input_ids"]
    labels = whole_batch(task, store).targets["labels"]
    for row, ids in zip(labels.tolist(), expected, strict=True):
        assert row == ids + [-100] * (len(row) - len(ids))
    assert store.row_weight.tolist() == pytest.approx([1 / len(ids) for ids in expected])
    assert store.end_id == 3


def test_an_example_without_target_is_refused():
    table = dataset(KINDS, input=["a", "b"], targets=[["x"], []])
    with pytest.raises(DataError, match="targets of example 1: none"):
        a_task().encode(table, tokenizer(), training=True)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_decoder_inputs_are_those_of_the_model(architecture):
    model = generator_for(architecture)
    labels = torch.tensor([[2, 7, 8, 3], [2, 9, 3, -100]])
    found = shift_right(labels, model.config.decoder_start_token_id, model.config.pad_token_id)
    assert torch.equal(found, model.prepare_decoder_input_ids_from_labels(labels))
    assert labels[1, 3] == -100


@pytest.mark.filterwarnings("ignore:Version v4.12.0")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_is_that_of_transformers_per_example(architecture):
    task, model = a_task(), generator_for(architecture)
    store = task.encode(examples(4), tokenizer(style(architecture)), training=True)
    expected = 0.0
    for example in range(4):
        batch = whole_batch(task, store, [example])
        labels = batch.targets["labels"][:, : int(store.target_lengths[example])]
        with torch.no_grad():
            expected += float(model(**batch.inputs, labels=labels.contiguous()).loss)
    loss = task.loss(model, whole_batch(task, store))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_and_filling_rows_change_nothing(architecture):
    from dataclasses import replace

    task, model = a_task(64, 40), generator_for(architecture)
    store = task.encode(examples(5), tokenizer(style(architecture)), training=True)
    planned = in_order(evaluation_plan(store, np.arange(5), 10**6))
    plans = [planned, longer(planned, 64), replace(planned, target_length=40), planned.with_rows(8)]
    losses = [task.loss(model, task.collate(store, p)) for p in plans]
    for loss in losses[1:]:
        torch.testing.assert_close(losses[0], loss, atol=1e-5, rtol=1e-5)


def by_hand(model, store, example, longest):
    """Greedy search for one example, without padding, cache or `generate`."""
    ids = store.padded("tokens", torch.tensor([example]), int(store.row_lengths[example]), 0)
    found = [model.config.decoder_start_token_id]
    with torch.no_grad():
        while (len(found) <= longest and found[-1:] != [3]) or len(found) == 1:
            logits = model(input_ids=ids, decoder_input_ids=torch.tensor([found])).logits
            found.append(int(logits[0, -1].argmax()))
    return tokenizer().decode(found, skip_special_tokens=True).strip()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generation_is_greedy_and_does_not_depend_on_the_batches(architecture):
    task, model, table = a_task(), generator_for(architecture), examples(12)
    store = task.encode(table, tokenizer(style(architecture)), training=False)
    order = np.random.default_rng(0).permutation(12)[:9]
    expected = [by_hand(model, store, int(example), 12) for example in order]
    for budget in (1, 100, 10**6):
        assert task.predict(model, store, table, order, budget) == expected
    assert len(set(expected)) > 1
    assert task.predict(model, store, table, order[:0], 1) == []


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_models_own_generation_settings_do_not_leak(architecture):
    task, model, table = a_task(), generator_for(architecture), examples(6)
    store = task.encode(table, tokenizer(style(architecture)), training=False)
    plain = task.predict(model, store, table, np.arange(6), 10**6)
    own = model.generation_config
    own.update(
        num_beams=3, no_repeat_ngram_size=1, length_penalty=2.0, forced_bos_token_id=9,
        suppress_tokens=[50, 60], max_length=5, repetition_penalty=1.7, early_stopping=True,
    )  # fmt: skip
    before = own.to_dict()
    model.train()
    assert task.predict(model, store, table, np.arange(6), 10**6) == plain
    assert model.generation_config is own and own.to_dict() == before and model.training


def test_a_generated_text_has_at_most_the_stated_tokens(monkeypatch):
    model, table = generator_for("bart"), examples(6)
    plain, lengths = model.generate, []

    def watched(**options):
        ids = plain(**options)
        lengths.append(ids.shape[1] - 1)  # without the start token
        return ids

    monkeypatch.setattr(model, "generate", watched)
    for longest in (4, 12):
        task = a_task(max_target_length=longest)
        store = task.encode(table, tokenizer(), training=False)
        task.predict(model, store, table, np.arange(6), 10**6)
    assert lengths == [4, 12]


def test_metrics_take_the_best_reference_and_average_examples():
    targets = [["the fox", "a lazy dog"], ["Paris is big"]]
    table = dataset(KINDS, input=["a lazy dog", "fox"], targets=targets)
    task = a_task()
    scored = task.evaluate(["A lazy dog!", "Paris is small"], table)
    assert scored.per_example["rouge1"] == pytest.approx([1, 2 / 3])
    assert scored.per_example["rouge2"] == pytest.approx([1, 1 / 2])
    assert scored.metrics == pytest.approx({"rouge1": 5 / 6, "rouge2": 3 / 4, "rougeL": 5 / 6})
    assert task.aggregate(scored, np.array([1]))["rougeL"] == pytest.approx(2 / 3)
    assert task.floor(table, table)["rougeL"] == pytest.approx(0.5)
    assert task.evaluate([], table.select([])).per_example["rougeL"].shape == (0,)


def test_texts_and_skew():
    table = dataset(KINDS, input=["a", "b"], targets=[["x", "y"], ["z"]], source=["s", "t"])
    task = a_task()
    assert task.texts(table) == ["a", "b"]
    assert task.tokenizer_texts(table) == ["a", "b", "x", "y", "z"]
    assert task.skew_labels(table, "source")[0].tolist() == [0, 1]
    assert task.generates
