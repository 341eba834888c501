"""Cards: the committed ones are valid; a wrong one is told in one line with file and key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from tasks.errors import DataError
from tasks.model_card import ModelCard, ModelOverrides

CARDS = sorted((Path(__file__).parents[2] / "configs" / "models").glob("*.yaml"))
GOOD = {
    "name": "x",
    "description": "d",
    "licence": "l",
    "tasks": ["seq2seq"],
    "hub": {"id": "a/b", "revision": "0" * 40},
}
SCRATCH = {
    "architecture": "bert",
    "layers": 2,
    "hidden": 16,
    "heads": 2,
    "intermediate": 32,
    "max_positions": 32,
}


def parse(path):
    return ModelCard.parse(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_committed_cards(path):
    card = parse(path)
    assert card.name == path.stem
    assert card.kind in ("hub", "local", "scratch")
    assert card.description and card.licence and card.tasks


def test_all_cards_are_there():
    names = "tiny mini small minilm-l6-h384 distilbert-base-uncased bert-base-uncased roberta-base"
    assert set(f"{names} albert-base-v2 bart-base t5-small".split()) == {p.stem for p in CARDS}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hubb": 1}, "hubb: unknown key; expected one of .*did you mean hub"),
        ({"hub": {"id": "a", "revision": "main"}}, "hub.revision: "),
        ({"hub": {"id": "a", "revision": "0" * 40, "revsion": ""}}, "did you mean revision"),
        ({"hub": None}, "exactly one of hub, local, scratch"),
        ({"local": {"path": "x"}}, "exactly one of hub, local, scratch"),
        ({"hub": None, "scratch": SCRATCH}, "tokenizer.vocab_size is missing"),
        ({"tokenizer": {"vocab_size": 500}}, "pretrained weights fix it"),
        ({"tasks": ["translation"]}, "tasks.0: "),
        ({"layers": "2"}, "layers: .*integer"),
        (
            {"hub": None, "scratch": SCRATCH | {"heads": 3}, "tokenizer": {"vocab_size": 500}},
            "scratch: hidden \\(16\\) is not a multiple of heads",
        ),
    ],
)
def test_wrong_cards(change, message, tmp_path):
    path = tmp_path / "card.yaml"
    path.write_text(yaml.safe_dump(GOOD | change))
    with pytest.raises(DataError, match=message) as error:
        parse(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("data", [[1], None, "text", 1.0])
def test_no_card_at_all(data):
    with pytest.raises(DataError, match=r"card\.yaml: a .*expected a mapping"):
        ModelCard.parse(data, "card.yaml")


def test_a_card_round_trips():
    card = ModelCard.model_validate(GOOD)
    assert ModelCard.model_validate(card.model_dump()) == card


def test_overrides():
    with pytest.raises(ValidationError, match="already freezes"):
        ModelOverrides.model_validate({"lora": {}, "freeze_layers": 1})
    with pytest.raises(ValidationError):
        ModelOverrides.model_validate({"dropout": 1.0})
    assert ModelOverrides.model_validate({"lora": {"r": 4}}).lora.alpha == 16
