"""Where the embedding keeps all its rows, each beside a case where it does not."""

from dataclasses import replace

import pytest
import torch
from occurring_cases import ADAMW, PADDING, SGD, both, case, family_of, scattered
from step_cases import CLIENTS, LONGEST, store_of, trainer_of
from torch import nn

import fednlp.occurring_rows as occurring
from fednlp.flat_model import FlatModel
from fednlp.occurring_rows import (
    READ_IDS_ONLY_TO_EMBED,
    occurring_tokens,
    restrict,
    restricted_table,
)
from tasks.freezing import freeze

NONE, ALL = (False, False, False), (True, True, True)


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(occurring, "WORTH", 0)


def applies(module=None, store=None, **changes):
    """Whether a trainer of the model, default BERT, would ever cut its table."""
    module = family_of("bert") if module is None else module
    store = scattered() if store is None else store
    trainer, _ = trainer_of(module=module, store=store, **changes)
    return trainer.table is not None


# the rows ---------------------------------------------------------------------------------------


def test_at_most_half_of_the_rows():
    store = store_of("text_classification")
    count = len(occurring_tokens(store, CLIENTS[0]))
    for vocabulary, used in ((2 * count, True), (2 * count - 1, False)):
        trainer, _ = trainer_of(module=family_of("bert", vocabulary=vocabulary), store=store)
        rows = restrict(trainer.model, trainer.table, store, CLIENTS[0])
        assert (rows is not None) == used


def test_some_clients_have_few_enough():
    """The small one trains on its rows, between two on all of them."""
    store = store_of("text_classification")
    counts = [len(occurring_tokens(store, client)) for client in CLIENTS]
    vocabulary = 2 * min(counts[0], counts[2]) - 1
    assert 2 * counts[1] <= vocabulary

    def make():
        return trainer_of(module=family_of("bert", vocabulary=vocabulary), store=store, **ADAMW)

    _, whole, cut = both(make, (False, True, False))
    assert torch.equal(whole, cut)


@pytest.mark.parametrize(
    ("family", "padding", "below", "kept"),
    [
        ("bert", 2, (0, 1), True),
        ("bert", 2, (0,), False),
        ("bert", 2, (), False),
        ("distilbert", 1, (), False),
        ("albert", 3, (1, 0), False),
        ("roberta", 1, (0,), True),
        ("roberta", 1, (), False),
        ("roberta", 2, (1,), False),
    ],
)
def test_padding_keeps_its_id(family, padding, below, kept):
    """By it a model finds positions, and the row without a gradient."""
    store = scattered(padding=padding, below=below)
    positions = LONGEST + padding + 1

    def make():
        module = family_of(family, pad_token_id=padding, max_position_embeddings=positions)
        return trainer_of(module=module, store=store, **ADAMW)

    trainer, _ = make()
    rows = restrict(trainer.model, trainer.table, store, CLIENTS[0])
    assert (rows is not None) == kept
    if rows is not None:
        assert int(rows.index(torch.tensor(padding))) == padding
    _, whole, cut = both(make, ALL if kept else NONE)
    assert torch.equal(whole, cut)


def test_padding_keeps_its_id_client_by_client():
    """Only the middle client's rows begin with the id below the padding's."""
    usual, without = scattered(padding=1), scattered(padding=1, below=())
    tokens = without.tokens.clone()
    middle = slice(*(int(usual.row_offsets[row]) for row in (CLIENTS[1][0], CLIENTS[1][-1] + 1)))
    tokens[middle] = usual.tokens[middle]
    store = replace(without, tokens=tokens)

    def make():
        return trainer_of(module=family_of("roberta"), store=store, **ADAMW)

    _, whole, cut = both(make, (False, True, False))
    assert torch.equal(whole, cut)


# the model --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", READ_IDS_ONLY_TO_EMBED)
def test_a_frozen_table(family):
    store = scattered(padding=PADDING.get(family, 0))
    module = family_of(family)
    assert applies(module, store)
    assert not applies(family_of(family), store, lora=True)
    freeze(module, embeddings=True)
    assert not applies(module, store)


def test_lora_trains_as_it_would():
    _, whole, cut = both(lambda: case("bert", lora=True, **ADAMW), NONE)
    assert torch.equal(whole, cut)


@pytest.mark.parametrize("family", READ_IDS_ONLY_TO_EMBED)
def test_a_table_that_another_layer_shares(family):
    for tied in (True, False):
        module = family_of(family, head="MaskedLM", tie_word_embeddings=tied)
        output, table = module.get_output_embeddings(), module.get_input_embeddings()
        assert (output.weight is table.weight) == tied
        assert applies(module) == (not tied)


def test_a_family_that_is_not_in_the_list(monkeypatch):
    assert not applies(family_of("electra"))
    monkeypatch.setattr(occurring, "READ_IDS_ONLY_TO_EMBED", ("electra",))
    assert applies(family_of("electra"))
    assert not applies(family_of("bert"))


def test_a_table_that_does_not_lead_the_vector():
    module = family_of("bert")
    module.before = nn.Parameter(torch.zeros(2, 2))
    trainer, _ = trainer_of(module=module, store=scattered())
    assert trainer.table is not None  # no loss reaches the other matrix, which is frozen
    module.before.requires_grad_(True)
    assert restricted_table(FlatModel(module), trainer.store, trainer.settings) is None


class Own(nn.Embedding):
    """May do anything with an id."""


@pytest.mark.parametrize(
    ("name", "value"), [("scale_grad_by_freq", True), ("sparse", True), ("__class__", Own)]
)
def test_an_embedding_of_another_kind(name, value):
    module = family_of("bert")
    trainer, _ = trainer_of(module=module, store=scattered())
    setattr(module.get_input_embeddings(), name, value)
    assert trainer.table is None


def test_a_small_table(monkeypatch):
    size = family_of("bert").get_input_embeddings().weight.numel()
    for worth, used in ((size, True), (size + 1, False)):
        monkeypatch.setattr(occurring, "WORTH", worth)
        assert applies() == used


# the training -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "used"),
    [
        ({**SGD, "momentum": 0.5, "weight_decay": 0.1}, False),
        ({**SGD, "momentum": 0.5}, True),
        ({**SGD, "weight_decay": 0.1}, True),
        ({**ADAMW, "momentum": 0.5, "weight_decay": 0.1}, True),  # momentum is for sgd only
    ],
    ids=str,
)
def test_momentum_goes_on_with_decay(client, used):
    """What a row without a gradient loses to decay gives it a velocity."""
    _, whole, cut = both(lambda: case("bert", **client), ALL if used else NONE)
    assert used or torch.equal(whole, cut)
    torch.testing.assert_close(whole, cut, rtol=1e-4, atol=1e-6)


def test_targets_are_looked_up_by_their_own_ids():
    store = scattered("seq2seq")
    assert not applies(store=store)
    assert applies(store=replace(store, columns={}))
