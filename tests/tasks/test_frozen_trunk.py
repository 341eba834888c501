"""A model that begins behind its frozen layers is the model it was."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from datasets import List, Value
from tiny_tasks import dataset, longer, model_for, questions, sentences, tokenizer, whole_batch

from tasks import TASKS
from tasks.batches import evaluation_plan
from tasks.first_token import read_first_token_only
from tasks.freezing import freeze
from tasks.frozen_trunk import FrozenTrunk
from tasks.task import TRUNK, TokenSettings

TAGS = ["O", "B-X", "I-X"]
ENCODERS = ["bert", "roberta", "distilbert"]


def examples(name):
    texts = sentences(9, shortest=1)
    if name == "text_classification":
        return dataset(text=texts, label=[i % 3 for i in range(9)])
    if name == "sequence_tagging":
        words = [text.split() for text in texts]
        tags = [[i % 3 for i in range(len(row))] for row in words]
        return dataset({"words": List(Value("string")), "tags": List(Value("int64"))},
                       words=words, tags=tags)  # fmt: skip
    rows = [("which word", text + " Paris", ["Paris"]) for text in sentences(9, 60, shortest=30)]
    return questions(rows)


def parts(name, architecture="bert", layers=1, style=None, **changes):
    """Task, store and a model whose embeddings and first layers are frozen, without dropout.

    style: of the tokenizer, default the architecture's.
    """
    task = TASKS[name](
        TAGS if name != "question_answering" else [], TokenSettings(max_length=32, doc_stride=8)
    )
    style = style or ("roberta" if architecture == "roberta" else "bert")
    store = task.encode(examples(name), tokenizer(style), True)
    model = model_for(task.auto_class, architecture, 2 if name == "question_answering" else 3)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for key, value in changes.items():
        setattr(model.config, key, value)
    freeze(model, embeddings=True, layers=layers)
    return task, store, model


def loss_and_gradients(task, store, model):
    model.train().zero_grad()
    loss = task.loss(model, whole_batch(task, store))
    loss.backward()
    return [loss] + [p.grad for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("architecture", ENCODERS)
@pytest.mark.parametrize("name", ["text_classification", "sequence_tagging", "question_answering"])
@pytest.mark.parametrize("layers", [1, 2])
def test_loss_gradients_and_predictions_are_the_same(name, architecture, layers):
    task, store, model = parts(name, architecture, layers)
    before = loss_and_gradients(task, store, model)
    asked, data = np.arange(store.examples), examples(name)
    predicted = task.predict(model, store, data, asked, 200)
    trunk = FrozenTrunk.of(model)
    assert trunk.layers == layers and trunk.width == 16
    read = trunk.read(task, store)
    assert read.columns[TRUNK].shape == (len(store.tokens), 16)
    trunk.install()
    after = loss_and_gradients(task, read, model)
    assert len(before) == len(after) > 1
    for one, two in zip(before, after, strict=True):
        assert torch.allclose(one, two, rtol=1e-4, atol=1e-5 * float(one.detach().abs().max()))
    assert task.predict(model, read, data, asked, 200) == predicted


def test_the_frozen_layers_are_not_computed_again():
    task, store, model = parts("sequence_tagging")
    trunk = FrozenTrunk.of(model)
    read = trunk.read(task, store)
    trunk.install()
    before = loss_and_gradients(task, read, model)[0]
    with torch.no_grad():
        model.base_model.encoder.layer[0].output.dense.weight.fill_(torch.nan)
        model.base_model.embeddings.word_embeddings.weight.fill_(torch.nan)
    assert torch.equal(loss_and_gradients(task, read, model)[0], before)
    with pytest.raises(ValueError, match="not its tokens"):
        task.loss(model, whole_batch(task, store))


def test_segments_that_an_architecture_has_not_are_not_read():
    task, store, model = parts("question_answering", "roberta", style="bert")
    assert store.segments and model.config.type_vocab_size == 1
    expected = task.loss(model, whole_batch(task, store))
    trunk = FrozenTrunk.of(model)
    read = trunk.read(task, store)
    trunk.install()
    assert torch.allclose(task.loss(model, whole_batch(task, read)), expected, rtol=1e-5)


def test_a_copy_and_a_pickle_begin_behind_them_too():
    task, store, model = parts("text_classification", layers=1)
    trunk = FrozenTrunk.of(model)
    read = trunk.read(task, store)
    trunk.install()
    expected = task.loss(model, whole_batch(task, read))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(task.loss(other, whole_batch(task, read)), expected)


def test_batches_padded_further_have_the_same_loss():
    task, store, model = parts("question_answering")
    trunk = FrozenTrunk.of(model)
    read = trunk.read(task, store)
    trunk.install()
    (planned,) = evaluation_plan(read, np.arange(3), 10**9)
    losses = [task.loss(model, task.collate(read, p)) for p in (planned, longer(planned, 60))]
    assert torch.allclose(*losses, rtol=1e-5)


def test_reading_in_threads_gives_the_same_bits_and_tells_progress():
    task, store, model = parts("sequence_tagging")
    trunk, told = FrozenTrunk.of(model), []
    one = trunk.read(task, store, told.append)
    two = trunk.read(task, store, threads=2)
    assert sum(told) == store.examples
    assert torch.equal(one.columns[TRUNK], two.columns[TRUNK])
    assert len(model.base_model.encoder.layer) == 2 and not model.training


def test_a_last_layer_that_reads_one_token_is_no_part_of_it():
    task, store, model = parts("text_classification", layers=2)
    assert read_first_token_only(model)
    trunk = FrozenTrunk.of(model)
    assert trunk.layers == 1
    expected = task.loss(model, whole_batch(task, store))
    read = trunk.read(task, store)
    trunk.install()
    assert torch.allclose(task.loss(model, whole_batch(task, read)), expected, rtol=1e-5)


def test_what_is_trained_or_random_is_no_part_of_it():
    assert FrozenTrunk.of(parts("sequence_tagging", layers=0)[2]) is None
    model = parts("sequence_tagging", layers=2)[2]
    model.base_model.encoder.layer[1].output.LayerNorm.weight.requires_grad_(True)
    assert FrozenTrunk.of(model).layers == 1
    model.base_model.encoder.layer[0].attention.self.dropout.p = 0.1
    assert FrozenTrunk.of(model) is None
    model = parts("sequence_tagging", layers=1)[2]
    model.base_model.embeddings.word_embeddings.weight.requires_grad_(True)
    assert FrozenTrunk.of(model) is None
    assert FrozenTrunk.of(parts("sequence_tagging", is_decoder=True)[2]) is None
    assert FrozenTrunk.of(torch.nn.Linear(2, 2)) is None


def test_the_identity_is_that_of_what_is_computed():
    model = parts("sequence_tagging", layers=1)[2]
    first = FrozenTrunk.of(model).identity()
    model.config.id2label = {0: "other"}
    with torch.no_grad():
        model.classifier.weight.add_(1)
        model.base_model.encoder.layer[1].output.dense.weight.add_(1)
    assert FrozenTrunk.of(model).identity() == first
    with torch.no_grad():
        model.base_model.encoder.layer[0].output.dense.weight[0, 0].add_(1)
    assert FrozenTrunk.of(model).identity() != first
