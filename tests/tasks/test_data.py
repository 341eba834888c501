"""Loading a corpus: schema, sources, validation cut, limits."""

from __future__ import annotations

import json

import pytest
from corpora import COMMON, conll, load, squad, tagging_card

from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.schema import COMMON_COLUMNS, TASK_COLUMNS, features, ordered_labels
from tasks.sources import _source_of

# schema -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASK_COLUMNS)
def test_every_task_has_its_columns(task):
    assert tuple(features(task)) == (*TASK_COLUMNS[task], *COMMON_COLUMNS)


def test_order_of_labels():
    assert ordered_labels("text_classification", ["b", "a", "b"], "x") == ["a", "b"]
    names = ["I-PER", "O", "B-LOC", "B-PER"]
    assert ordered_labels("sequence_tagging", names, "x") == ["O", "B-LOC", "I-LOC", "B-PER",
                                                              "I-PER"]  # fmt: skip
    assert ordered_labels("sequence_tagging", [], "x") == ["O"]


def test_rows_of_a_corpus(tmp_path):
    corpus = load(tagging_card(tmp_path), tmp_path)
    assert corpus.labels == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    for split, rows in corpus.splits.items():
        assert rows.features == features("sequence_tagging"), split
    assert corpus.splits["test"][1] == {"words": ["w1", "x"], "tags": [3, 0], "row": 1,
                                        "client": "", "source": ""}  # fmt: skip
    assert corpus.task == "sequence_tagging" and not corpus.synthetic


def test_unknown_tag_names_file_line_and_word(tmp_path):
    card = tagging_card(tmp_path, labels=["O", "B-LOC", "I-LOC"])
    with pytest.raises(DataError, match=r"train line 4 word 1: label 'B-PER'; expected one of O"):
        load(card, tmp_path)


def test_several_files_of_a_split_name_the_source(tmp_path):
    (tmp_path / "more").write_text(conll(6), encoding="utf-8")
    files = {"train": ["train", "more"], "test": "test"}
    local = {"reader": "conll", "files": files}
    corpus = load(tagging_card(tmp_path, local=local), tmp_path)
    assert corpus.splits["train"]["source"][:].count("more") >= 4
    assert set(corpus.splits["test"]["source"]) == {""}
    with pytest.raises(DataError, match="no 'source', which the card names as client"):
        load(tagging_card(tmp_path, local=local, client="source"), tmp_path)
    local["files"]["test"] = [local["files"]["test"]]  # a list, if only of one
    corpus = load(tagging_card(tmp_path, local=local, client="source"), tmp_path)
    assert set(corpus.splits["test"]["source"]) == {"test"}


def test_files_of_one_name_are_no_two_sources(tmp_path):
    for place in ("ann", "bob"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "mail").write_text(conll(6, place), encoding="utf-8")
    (tmp_path / "mail").write_text(conll(5), encoding="utf-8")

    def loaded(*train):
        local = {"reader": "conll", "files": {"train": list(train), "test": ["mail"]}}
        return load(tagging_card(tmp_path, local=local, client="source"), tmp_path)

    with pytest.raises(DataError, match=r"ann/mail and .*bob/mail, which both are .* 'mail'"):
        loaded("ann/mail", "bob/mail")
    (tmp_path / "bob" / "mail").rename(tmp_path / "bob" / "letters")
    corpus = loaded("ann/mail", "bob/letters")  # in another split the name is the same source
    assert set(corpus.splits["train"]["client"]) == {"mail", "letters"}
    assert set(corpus.splits["test"]["client"]) == {"mail"}


@pytest.mark.parametrize(
    ("name", "source"),
    [("ann.csv", "ann"), ("ann.csv.gz", "ann"), ("ann.2024.CSV.XZ", "ann.2024"), ("ann.gz", "ann"),
     ("ann", "ann"), (".gz", ".gz")],
)  # fmt: skip
def test_a_source_is_a_name_without_endings(name, source, tmp_path):
    assert _source_of(tmp_path / name) == source


# validation and limits ----------------------------------------------------------------------------


def test_validation_is_cut_from_train(tmp_path):
    corpus = load(tagging_card(tmp_path), tmp_path)
    train, validation = (corpus.splits[s]["row"][:] for s in ("train", "validation"))
    assert len(validation) == 4 and sorted(train + validation) == list(range(40))
    assert train == sorted(train) and validation == sorted(validation)
    kinds = [tags[0] for tags in corpus.splits["validation"]["tags"]]
    assert sorted(kinds) == [1, 1, 3, 3]  # stratified by the set of entity types
    assert corpus.splits["train"][0]["words"][0] == f"w{train[0]}"


def test_the_cut_belongs_to_the_card(tmp_path):
    rows = [
        load(tagging_card(tmp_path, validation={"seed": seed}), tmp_path).splits["validation"][
            "row"
        ]
        for seed in (0, 0, 1)
    ]
    rows = [list(numbers) for numbers in rows]
    assert rows[0] == rows[1] != rows[2]
    card = tagging_card(tmp_path, validation={"fraction": 0.5, "maximum": 7})
    assert len(load(card, tmp_path).splits["validation"]) == 7


def test_questions_without_a_title_are_cut_by_context(tmp_path):
    data = squad("abcd")
    for number, article in enumerate(data["data"]):
        article["title"] = ""
        article["paragraphs"][0]["context"] = f"in Rome {number}"
    (tmp_path / "train").write_text(json.dumps(data), encoding="utf-8")
    (tmp_path / "test").write_text(json.dumps(squad("z")), encoding="utf-8")
    local = {"reader": "squad_json", "files": {"train": "train", "test": "test"}}
    card = DatasetCard.parse({**COMMON, "task": "question_answering", "local": local}, "x.yaml")
    corpus = load(card, tmp_path)
    contexts = {s: set(corpus.splits[s]["context"][:]) for s in ("train", "validation")}
    assert len(contexts["validation"]) == 1 and not contexts["train"] & contexts["validation"]


def test_a_test_split_is_cut_from_train_where_there_is_none(tmp_path):
    local = {"reader": "conll", "files": {"train": "train"}}
    corpus = load(tagging_card(tmp_path, test={"fraction": 0.25}, local=local), tmp_path)
    rows = {split: list(corpus.splits[split]["row"]) for split in corpus.splits}
    assert {split: len(numbers) for split, numbers in rows.items()} == {
        "train": 27, "validation": 3, "test": 10,
    }  # fmt: skip
    assert sorted(n for numbers in rows.values() for n in numbers) == list(range(40))
    assert corpus.splits["test"]["words"][0][0] == f"w{rows['test'][0]}"
    with pytest.raises(DataError, match="or say how to cut a test split"):
        tagging_card(tmp_path, local=local)
    with pytest.raises(DataError, match="local has a test split, and test says how to cut one"):
        tagging_card(tmp_path, test={"fraction": 0.25})


def test_questions_are_cut_by_document(tmp_path):
    (tmp_path / "train").write_text(json.dumps(squad("abcdefghij")), encoding="utf-8")
    (tmp_path / "test").write_text(json.dumps(squad("z")), encoding="utf-8")
    local = {"reader": "squad_json", "files": {"train": "train", "test": "test"}}
    card = DatasetCard.parse(
        {**COMMON, "task": "question_answering", "local": local, "client": "title"}, "x"
    )
    corpus = load(card, tmp_path)
    train, validation = (set(corpus.splits[s]["title"]) for s in ("train", "validation"))
    assert not train & validation and len(train) == 9 and len(validation) == 1
    assert corpus.splits["train"]["client"][:] == corpus.splits["train"]["title"][:]


def test_references_of_one_input_stay_together(tmp_path):
    lines = [f"in{i % 10},ref {i}" for i in range(40)]
    for name in ("trainset.csv", "testset_w_refs.csv"):
        (tmp_path / name).write_text("\n".join(["mr,ref", *lines]), encoding="utf-8")
    local = {"reader": "e2e_csv", "files": {"train": ".", "test": "."}}
    corpus = load(DatasetCard.parse({**COMMON, "task": "seq2seq", "local": local}, "x"), tmp_path)
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    assert len(validation) == 1 and len(validation[0]["targets"]) == 4
    assert validation[0]["input"] not in train["input"][:]
    assert validation[0]["row"] == int(validation[0]["input"][2:])
    assert len(train) == 36 and all(len(targets) == 1 for targets in train["targets"])


def test_limits_keep_order_and_are_nested(tmp_path):
    card = tagging_card(tmp_path)
    whole = load(card, tmp_path)
    small = load(card, tmp_path, limit={"train": 5, "test": 2})
    large = load(card, tmp_path, limit={"train": 10})
    rows = small.splits["train"]["row"][:]
    assert len(rows) == 5 and rows == sorted(rows)
    assert set(rows) < set(large.splits["train"]["row"]) < set(whole.splits["train"]["row"])
    assert small.splits["validation"]["row"][:] == whole.splits["validation"]["row"][:]
    assert len({whole.fingerprint, small.fingerprint, large.fingerprint}) == 3
    assert load(card, tmp_path, limit={"train": 1000}).fingerprint == whole.fingerprint


@pytest.mark.parametrize("limit", [{"train": 0}, {"dev": 3}])
def test_wrong_limits(tmp_path, limit):
    with pytest.raises(DataError, match=rf"limit\.{next(iter(limit))}"):
        load(tagging_card(tmp_path), tmp_path, limit=limit)


# sources ------------------------------------------------------------------------------------------


def test_missing_local_files(tmp_path):
    card = tagging_card(tmp_path)
    with pytest.raises(DataError, match=r"set FEDNLP_DATA"):
        load(card, tmp_path, data_root=None)
    (tmp_path / "test").unlink()
    with pytest.raises(DataError, match=r"dataset x local\.files\.test: no file at .*test"):
        load(card, tmp_path)


def test_source_must_be_in_the_card(tmp_path):
    with pytest.raises(DataError, match="source: hub; expected one of local"):
        load(tagging_card(tmp_path), tmp_path, source="hub")
    with pytest.raises(DataError, match="source: 'disk'"):
        load(tagging_card(tmp_path), tmp_path, source="disk")
    with pytest.raises(DataError, match="sizes for embedded corpora only"):
        load(tagging_card(tmp_path), tmp_path, sizes={"train": 3})


def test_auto_prefers_local_files_to_the_hub(tmp_path, monkeypatch):
    hub = {"id": "a/b", "revision": "0" * 40, "splits": {"train": "train", "test": "test"}}
    card = tagging_card(tmp_path, hub=hub)
    assert len(load(card, tmp_path).splits["test"]) == 5
    asked = []

    def read_hub(hub, task, split, cache_dir, instead):
        asked.append(split)
        yield "hub", {"words": ["a"], "tags": ["O"]}
        yield "hub", {"words": ["b"], "tags": ["O"]}

    monkeypatch.setattr("tasks.hub.read_hub", read_hub)
    (tmp_path / "test").unlink()
    assert len(load(card, tmp_path).splits["test"]) == 2
    assert asked == ["train", "test"]
    load(card, tmp_path)
    assert asked == ["train", "test"]  # the second time from the cache


def test_expected_counts(tmp_path):
    card = tagging_card(tmp_path, expected={"train": 41})
    with pytest.raises(DataError, match=r"expected\.train: 40 examples from the local source"):
        load(card, tmp_path)


def test_synthetic_sizes_and_labels(tmp_path, monkeypatch):
    def generator(split, size, seed, *, topics=2):
        rows = [{"text": f"{split} {i}", "label": i % topics, "client": f"c{i % 3}"}
                for i in range(size)]  # fmt: skip
        return rows, [f"t{i}" for i in range(topics)]

    monkeypatch.setattr("tasks.synthetic.GENERATORS", {"toy": generator})
    sizes = {"train": 10, "validation": 4, "test": 4}
    synthetic = {"generator": "toy", "sizes": sizes, "options": {"topics": 3}}

    def card(**changes):
        content = {**COMMON, "task": "text_classification", "client": "client"}
        return DatasetCard.parse({**content, "synthetic": {**synthetic, **changes}}, "x.yaml")

    corpus = load(card(), tmp_path, sizes={"train": 6})
    assert {s: len(rows) for s, rows in corpus.splits.items()} == {**sizes, "train": 6}
    assert corpus.synthetic and corpus.labels == ["t0", "t1", "t2"]
    assert corpus.splits["train"][4] == {"text": "train 4", "label": 1, "row": 4, "client": "c1",
                                         "source": ""}  # fmt: skip
    with pytest.raises(DataError, match=r"synthetic\.options: .*colour"):
        load(card(options={"colour": 1}), tmp_path)
    with pytest.raises(DataError, match=r"synthetic\.generator: 'toi'; expected one of toy"):
        load(card(generator="toi"), tmp_path)
    with pytest.raises(DataError, match=r"sizes\.dev"):
        load(card(), tmp_path, sizes={"dev": 6})
