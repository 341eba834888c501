"""Dataset cards: the committed ones are valid; a wrong one is told in one line, file and key."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from tasks.dataset_card import DatasetCard
from tasks.errors import DataError

CARDS = sorted((Path(__file__).parents[2] / "configs" / "datasets").glob("*.yaml"))
REAL = ("20newsgroups", "wikiann_en", "squad_by_article", "e2e_nlg")
# No public count of these files, read as they are, could be confirmed.
UNCOUNTED = {
    "cornell_movie_dialogs": {"train"},
    "wmt18_news_cs_en": {"train"},
    "wmt18_news_de_en": {"train"},
    "wmt18_news_ru_en": {"train", "validation", "test"},
    "wmt18_news_zh_en": {"train", "validation"},
}
GOOD = {
    "name": "mine",
    "task": "sequence_tagging",
    "version": 1,
    "licence": "CC0",
    "language": "en",
    "description": "news",
    "skew": "entity_types",
    "local": {
        "reader": "conll",
        "files": {"train": "a.conll", "test": "b.conll"},
        "options": {"token_prefix": "en:"},
    },
    "hub": {
        "id": "a/b",
        "revision": "0" * 40,
        "splits": {"train": "train", "test": "validation"},
        "columns": {"words": "tokens"},
    },
    "labels": ["O", "B-PER", "I-PER"],
    "expected": {"train": 3},
}


def parse(change=None):
    content = copy.deepcopy(GOOD)
    if change:
        change(content)
    return DatasetCard.parse(content, "mine.yaml")


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_committed_cards(path):
    card = DatasetCard.parse(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    assert card.name == path.stem
    assert card.licence and card.description
    assert "train" in card.source_splits
    assert ("test" in card.source_splits) != (card.test is not None)
    if card.synthetic is None and "no published count" not in card.description.lower():
        missing = set(card.source_splits) - set(card.expected)
        assert missing == UNCOUNTED.get(card.name, set())


def test_the_real_sets_are_there_with_both_sources():
    cards = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in CARDS}
    for name in REAL:
        assert DatasetCard.parse(cards[name], name).sources == ("local", "hub")
    assert len({cards[name]["task"] for name in REAL}) == 4


def test_properties():
    card = parse()
    assert card.source_splits == ("train", "test")
    assert card.sources == ("local", "hub")
    assert parse(lambda c: c.pop("hub")).sources == ("local",)


@pytest.mark.parametrize(("change", "message"), [
    (lambda c: c.update(licens="x"), "mine.yaml licens: unknown key; expected one of name"),
    (lambda c: c.update(licens="x"), "did you mean licence?"),
    (lambda c: c["hub"].update(colums={}), "mine.yaml hub.colums: unknown key"),
    (lambda c: c["hub"].update(colums={}), "did you mean columns?"),
    (lambda c: c["local"]["options"].update(prefix="x"), "local.options.prefix: unknown key"),
    (lambda c: c["local"]["options"].update(columns="2"), "local.options.columns: '2'; expected"),
    (lambda c: c.pop("licence"), "mine.yaml licence: missing"),
    (lambda c: c.update(version="1"), "mine.yaml version: '1'; expected a valid integer"),
    (lambda c: c.update(version=0), "mine.yaml version: 0; expected greater than or equal to 1"),
    (lambda c: c.update(task="tagging"), "mine.yaml task: 'tagging'; expected 'text_class"),
    (lambda c: c.update(name="a/b"), "mine.yaml name:"),
    (lambda c: c["hub"].update(revision="main"), "mine.yaml hub.revision:"),
    (lambda c: c["hub"].update(columns={"text": "x"}), "hub.columns has 'text'"),
    (lambda c: c["hub"].update(files={"train": "x"}), "splits names 'validation'"),
    (lambda c: c["hub"].update(select={"train": ["a"]}), "select and select_column go together"),
    (lambda c: c["hub"].update(select={"train": ["a"]}, select_column="t"), "select has ['train']"),
    (lambda c: c["local"].update(reader="conl"), "did you mean conll?"),
    (lambda c: c["local"].update(reader="squad_json"), "is for question_answering"),
    (lambda c: c["local"]["files"].update(dev="x"), "local.files.dev: 'dev'; expected 'train'"),
    (lambda c: c["local"]["files"].update(validation="x"), "sources have different splits"),
    (lambda c: c["local"]["files"].pop("test"), "train and test are needed"),
    (lambda c: (c.pop("local"), c.pop("hub")), "no source"),
    (lambda c: c.update(expected={"validation": 1}), "expected names a split"),
    (lambda c: c.update(client="title"), "client: title is no column of sequence_tagging"),
    (lambda c: c.update(client="user"), "mine.yaml client: 'user'; expected 'title'"),
    (lambda c: c.update(validation={"fraction": 1.0}), "validation.fraction: 1.0; expected less"),
    (lambda c: c.update(skew="entity_type"), "mine.yaml: skew: 'entity_type'; expected one of ent"),
    (lambda c: c.update(skew="entity_type"), "did you mean entity_types?"),
    (lambda c: c.update(skew="label"), "skew: 'label'; expected one of entity_types, source, cl"),
    (lambda c: c.update(hub=3), "mine.yaml hub: 3; expected a valid dictionary"),
    (lambda c: c["local"]["files"].update(train=5),
     "mine.yaml local.files.train: 5; expected a valid string or a valid list"),
    (lambda c: c["local"]["files"].update(train=["a", 1]),
     "mine.yaml local.files.train.1: 1; expected a valid string"),
    (lambda c: c.update(expected={"train": -1}), "expected.train: -1; expected greater than or eq"),
    (lambda c: c.update(expected={"train": "3"}), "expected.train: '3'; expected a valid"),
    (lambda c: c["hub"].update(labels=["O", "B-A", "B-A"]), "hub.labels: 'B-A' twice; expected ev"),
    (lambda c: c.update(members={}), "mine.yaml: members: {}; expected data sets"),
    (lambda c: (c.pop("local"), c.pop("hub"), c.update(members={})), "members: {}; expected"),
    (lambda c: c.update(members={"a": {"train": 0}}), "members.a.train: 0; expected greater than"),
])  # fmt: skip
def test_wrong_cards(change, message):
    with pytest.raises(DataError) as error:
        parse(change)
    assert message in str(error.value)
    assert str(error.value).startswith("mine.yaml") and "\n" not in str(error.value)


@pytest.mark.parametrize(("reader", "task", "options", "message"), [
    ("table", "text_classification", {"label_names": {"pos": {"a": 1}}},
     "local.options.label_names.pos: {'a': 1}; expected a valid string"),
    ("table", "text_classification", {"label_names": {1: "bad", 2: 3}},
     "local.options.label_names.2: 3; expected a valid string"),
    ("table", "text_classification", {"label_names": 3},
     "local.options.label_names: 3; expected a valid list or a valid dictionary"),
    ("table", "text_classification", {"columns": {"text": True}},
     "local.options.columns.text: True; expected a valid string or a valid integer"),
    ("ag_news", "text_classification", {"classes": ["a", "b", "a"]},
     "local.options.classes: 'a' twice; expected every name once"),
    ("sst2", "text_classification", {"label_names": ["a", "a"]},
     "local.options.label_names: 'a' twice"),
])  # fmt: skip
def test_wrong_options(reader, task, options, message):
    def change(card):
        del card["hub"], card["labels"]
        card.update(task=task, skew="source")
        card["local"].update(reader=reader, options=options)

    with pytest.raises(DataError) as error:
        parse(change)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_paths_that_start_at_the_card(tmp_path):
    content = copy.deepcopy(GOOD)
    content["local"]["files"] = {"train": ["./a.conll", "b.conll"], "test": "./c/d.conll"}
    local = DatasetCard.parse(content, "mine.yaml", tmp_path).local
    assert local.files == {
        "train": [str(tmp_path / "a.conll"), "b.conll"],
        "test": str(tmp_path / "c" / "d.conll"),
    }
    assert DatasetCard.parse(content, "mine.yaml").local.files == content["local"]["files"]


def test_labels_where_the_task_has_none():
    def change(card):
        card.update(task="seq2seq")
        card["local"].update(reader="e2e_csv", options={})
        card["hub"].update(columns={})

    with pytest.raises(DataError, match="labels: seq2seq has none"):
        parse(change)


@pytest.mark.parametrize("content", [None, [], "x", 3])
def test_no_mapping(content):
    with pytest.raises(DataError, match=r"mine\.yaml: a \w+; expected a mapping"):
        DatasetCard.parse(content, "mine.yaml")


def test_synthetic_sizes():
    def change(size):
        def apply(card):
            del card["local"], card["hub"], card["labels"], card["expected"]
            sizes = {"train": size, "validation": 1, "test": 1}
            card["synthetic"] = {"generator": "events", "sizes": sizes}

        return apply

    assert parse(change(1)).source_splits == ("train", "validation", "test")
    with pytest.raises(DataError, match=r"synthetic\.sizes: train: 0 examples"):
        parse(change(0))
