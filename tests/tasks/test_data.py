"""Loading a corpus: schema, sources, validation cut, limits, fingerprint, cache."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks import corpus_cache
from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.fingerprint import file_hash, table_fingerprint
from tasks.schema import COMMON_COLUMNS, TASK_COLUMNS, features, ordered_labels

COMMON = {"name": "x", "version": 1, "licence": "l", "language": "en", "description": "d",
          "skew": "cluster"}  # fmt: skip


def conll(count, name="PER"):
    return "".join(f"w{i}\tB-{name if i % 2 else 'LOC'}\nx\tO\n\n" for i in range(count))


def tagging_card(tmp_path, sentences=40, **changes):
    (tmp_path / "train").write_text(conll(sentences), encoding="utf-8")
    (tmp_path / "test").write_text(conll(5), encoding="utf-8")
    local = {"reader": "conll", "files": {"train": "train", "test": "test"}}
    return DatasetCard.parse(
        {**COMMON, "task": "sequence_tagging", "local": local, **changes}, "x.yaml"
    )


def load(card, tmp_path, **options):
    options.setdefault("data_root", tmp_path)
    return load_corpus(card, cache_dir=tmp_path / "cache", **options)


# schema ----------------------------------------------------------------------------------------


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


# joining ---------------------------------------------------------------------------------------


def joined(tmp_path, members, **more):
    cards = {name: tagging_card(tmp_path, name=name) for name in ("one", "two")}
    cards["far"] = DatasetCard.parse({**MEMBERS, "name": "far", "members": {"one": {}}}, "far.yaml")
    card = DatasetCard.parse({**MEMBERS, "members": members, **more}, "all.yaml")
    return load(card, tmp_path, find_card=lambda name, _: cards[name])


MEMBERS = {**COMMON, "name": "all", "task": "sequence_tagging", "skew": "source",
           "client": "source"}  # fmt: skip


def test_members_are_joined_split_by_split(tmp_path):
    one = load(tagging_card(tmp_path), tmp_path)
    both = joined(tmp_path, {"one": {}, "two": {"train": 10, "test": 1}})
    assert both.labels == one.labels
    assert len(both.splits["train"]) == len(one.splits["train"]) + 10
    assert len(both.splits["validation"]) == 2 * len(one.splits["validation"])
    train = both.splits["train"]
    assert train["source"][:].count("two") == 10 and train["client"][:] == train["source"][:]
    assert list(train["row"]) == list(range(len(train)))
    assert train["tags"][0] == one.splits["train"]["tags"][0]


def test_bad_records_are_counted_over_all_members(tmp_path):
    def both(skip_bad):
        cards = {name: tagging_card(tmp_path, name=name) for name in ("one", "two")}
        with (tmp_path / "train").open("a", encoding="utf-8") as file:
            file.write("only-a-word\n\n")  # one bad record in each member
        card = DatasetCard.parse({**MEMBERS, "members": {"one": {}, "two": {}}}, "all.yaml")
        return load(card, tmp_path, find_card=lambda name, _: cards[name], skip_bad=skip_bad)

    assert len(both(2).skipped) == 2
    with pytest.raises(DataError, match="1 columns"):
        both(1)


@pytest.mark.parametrize(
    ("name", "message"),
    [("~nosuchuser/x", "home directory"), ("x" * 300, "no file"),
     ("pipe", "neither a file nor a directory")],
)  # fmt: skip
def test_what_is_no_file_is_told_at_once(name, message, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    local = {"reader": "conll", "files": {"train": name, "test": "test"}}
    with pytest.raises(DataError, match=message) as error:
        load(tagging_card(tmp_path, local=local), tmp_path)
    assert "\n" not in str(error.value)


def test_too_little_to_cut_from_names_the_card(tmp_path):
    (tmp_path / "q").write_text(json.dumps(squad("a")), encoding="utf-8")
    local = {"reader": "squad_json", "files": {"train": "q"}}
    content = {**COMMON, "task": "question_answering", "test": {"fraction": 0.5}, "local": local}
    with pytest.raises(DataError, match=r"cutting test .*more examples, or a test split of its ow"):
        load(DatasetCard.parse(content, "x.yaml"), tmp_path)
    with pytest.raises(DataError, match=r"dataset x: cutting validation from train: 1 training"):
        load(tagging_card(tmp_path, sentences=1), tmp_path)


def test_members_that_cannot_be_joined(tmp_path):
    with pytest.raises(DataError, match=r"members.far: a data set with members of its own"):
        joined(tmp_path, {"far": {}})
    with pytest.raises(DataError, match="members stand beside another source"):
        joined(tmp_path, {"one": {}}, labels=["O"])


def test_a_member_is_named_by_its_card_and_found_beside_it(tmp_path):
    """Not by where it lies: ids of questions and of clients must not depend on that."""
    asked = []

    def find(name, key):
        asked.append((name, key))
        return tagging_card(tmp_path, name="one")

    card = DatasetCard.parse({**MEMBERS, "members": {"./one.yaml": {}}}, "all.yaml", tmp_path)
    corpus = load(card, tmp_path, find_card=find)
    assert asked == [(str(tmp_path / "one.yaml"), "dataset all members")]
    assert set(corpus.splits["train"]["client"]) == {"one"}
    twice = {**MEMBERS, "members": {"./one.yaml": {}, "one": {}}}
    with pytest.raises(DataError, match=r"all members.one: two members of one name"):
        load(DatasetCard.parse(twice, "all.yaml", tmp_path), tmp_path, find_card=find)


def table_card(tmp_path, name, header, rows, **changes):
    (tmp_path / f"{name}.csv").write_text(header + "".join(rows), encoding="utf-8")
    local = {"reader": "table", "files": {"train": f"{name}.csv"}, **changes.pop("local", {})}
    content = {**COMMON, "name": name, "task": "text_classification", "local": local}
    return DatasetCard.parse({**content, "test": {"fraction": 0.2}, **changes}, f"{name}.yaml")


def test_a_member_without_clients_is_refused_where_they_are_promised(tmp_path):
    """Its examples would be in no client."""
    lines = [f"{n % 2},text {n},u{n % 3}\n" for n in range(30)]
    named = {"local": {"options": {"columns": {"client": "user"}}}}
    cards = {
        "with": table_card(tmp_path, "with", "label,text,user\n", lines, **named),
        "without": table_card(tmp_path, "without", "label,text\n",
                              [f"{n % 2},other {n}\n" for n in range(20)]),
    }  # fmt: skip
    content = {**COMMON, "name": "both", "task": "text_classification", "client": "client"}
    members = {"with": {}, "without": {}}
    card = DatasetCard.parse({**content, "members": members}, "both.yaml")
    with pytest.raises(DataError) as error:
        load(card, tmp_path, find_card=lambda name, _: cards[name])
    assert "both members.without: 14 train examples without 'client'" in str(error.value)
    assert "drop the member, give its card a client, or set client: source" in str(error.value)


# the same content twice ------------------------------------------------------------------------


def content_twice(tmp_path, files, **options):
    (tmp_path / "copy").write_text(conll(40), encoding="utf-8")
    local = {"reader": "conll", "files": files, "options": options}
    return load(tagging_card(tmp_path, local=local), tmp_path)


@pytest.mark.parametrize(("files", "message"), [
    ({"train": "train", "test": "train"}, "files.test: train holds the same as train of train"),
    ({"train": "train", "test": "./x/../train"}, "train holds the same as train of train"),
    ({"train": "train", "test": "copy"}, "files.test: copy holds the same as train of train"),
    ({"train": ["train", "train"], "test": "test"}, "files.train: train holds the same as train"),
    ({"train": "train", "validation": ["test"], "test": ["test"]}, "files.test: test holds"),
])  # fmt: skip
def test_a_file_is_read_once(tmp_path, files, message):
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match=message):
        content_twice(tmp_path, files)


def test_splits_may_take_different_parts_of_a_folder(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    for name in ("a_train", "a_test"):
        (folder / name).write_text(conll(40, name[2:].upper()), encoding="utf-8")
    both, patterns = {"train": "d", "test": "d"}, {"train": "*_train", "test": "*_test"}
    content_twice(tmp_path, both, patterns=patterns)
    with pytest.raises(DataError, match=r"files.test: d holds the same as d of train"):
        content_twice(tmp_path, both, patterns={"train": "*_train", "test": "*_train"})


def test_members_keep_ids_apart_and_counts(tmp_path):
    content = squad("abcdefghij")
    content["data"][0]["paragraphs"][0]["qas"][0].update(is_impossible=True, answers=[])
    for name in ("train", "test"):
        content["version"] = name
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    local = {"reader": "squad_json", "files": {"train": "train", "test": "test"},
             "options": {"unanswerable": "drop"}}  # fmt: skip
    questions = {**COMMON, "task": "question_answering"}
    cards = {name: DatasetCard.parse({**questions, "name": name, "local": local}, name)
             for name in ("one", "two")}  # fmt: skip

    def join(**more):
        members = {"one": {"train": 5, "test": 2}, "two": {"train": 5, "test": 2}}
        card = DatasetCard.parse({**questions, "members": members, **more}, "all.yaml")
        return load(card, tmp_path, find_card=lambda name, _: cards[name])

    corpus = join(expected={"train": 10, "test": 4})
    ids = corpus.splits["train"]["id"][:]
    assert len(set(ids)) == 10 and {key.partition("/")[0] for key in ids} == {"one", "two"}
    assert ids[0].partition("/")[2] in load(cards["one"], tmp_path).splits["train"]["id"][:]
    assert corpus.left_out == {"unanswerable": 4} and corpus.skipped == ()
    assert load(cards["one"], tmp_path).left_out == {"unanswerable": 2}  # from the cache
    with pytest.raises(DataError, match=r"expected\.train: 10 examples from the members source"):
        join(expected={"train": 11})


# validation and limits -------------------------------------------------------------------------


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


def squad(titles):
    return {"data": [
        {"title": title, "paragraphs": [{"context": "in Rome", "qas": [
            {"id": f"{title}{i}", "question": "Where?",
             "answers": [{"text": "Rome", "answer_start": 3}]} for i in range(3)
        ]}]} for title in titles
    ]}  # fmt: skip


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


# sources ---------------------------------------------------------------------------------------


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


# fingerprint and cache -------------------------------------------------------------------------


def table(values):
    schema = features("question_answering").arrow_schema
    return pa.table(values, schema=schema)


def question(number):
    return {"id": f"q{number}", "question": "é?", "context": "c" * number, "title": "",
            "answers": {"text": [f"{number}{i}" for i in range(number)], "start": [7] * number},
            "row": number,
            "client": "", "source": ""}  # fmt: skip


def columns(numbers):
    rows = [question(n) for n in numbers]
    return {key: [row[key] for row in rows] for key in question(0)}


def test_fingerprint_ignores_chunks_and_slices():
    whole = table(columns(range(7)))
    chunked = pa.concat_tables([table(columns(range(3))), table(columns(range(3, 7)))])
    sliced = table(columns([9, *range(7), 9])).slice(1, 7)
    taken = table(columns([6, 5, 4, 3, 2, 1, 0])).take([6, 5, 4, 3, 2, 1, 0])
    assert chunked["id"].num_chunks == 2
    assert len({table_fingerprint(t) for t in (whole, chunked, sliced, taken)}) == 1


def test_fingerprint_sees_every_change():
    base = columns(range(4))
    variants = [base, columns([1, 0, 2, 3]), columns(range(5)), columns(range(3))]
    for key, value in (("id", "q"), ("row", 9), ("client", "c"), ("context", "ccd")):
        changed = columns(range(4))
        changed[key][3] = value
        variants.append(changed)
    moved = columns(range(4))  # the same characters in other cells
    moved["question"][0], moved["question"][1] = "é?é", "?"
    variants.append(moved)
    answers = columns(range(4))
    answers["answers"][2] = {"text": ["a", "a"], "start": [0, 2]}
    variants.append(answers)
    lists, other = columns(range(4)), columns(range(4))  # the same elements in other lists
    lists["answers"][1:3] = [{"text": ["a", "b"], "start": [0, 1]}, {"text": ["c"], "start": [2]}]
    other["answers"][1:3] = [{"text": ["a"], "start": [0]}, {"text": ["b", "c"], "start": [1, 2]}]
    variants.append(other)
    variants.append(lists)
    assert len({table_fingerprint(table(v)) for v in variants}) == len(variants)
    assert table_fingerprint(table(columns([]))) == table_fingerprint(table(columns(range(2)))[:0])


PROGRAM = """
import sys, yaml
from pathlib import Path
from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
root = Path(sys.argv[1])
card = DatasetCard.parse(yaml.safe_load((root / "card.yaml").read_text()), "card")
corpus = load_corpus(card, data_root=root, cache_dir=Path(sys.argv[2]))
print(corpus.fingerprint, corpus.labels, corpus.splits["validation"]["row"][:])
"""


def test_two_processes_agree(tmp_path):
    card = tagging_card(tmp_path)
    (tmp_path / "card.yaml").write_text(card.model_dump_json(), encoding="utf-8")
    outputs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / f"cache{hash_seed}")],
            env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True,
            check=True, cwd=Path(__file__).parents[2],
        ).stdout
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    assert outputs[0] == outputs[1] and load(card, tmp_path).fingerprint in outputs[0]


def test_every_module_that_makes_rows_is_in_the_key():
    """Modules of `tasks` that reading a source imports, whatever is added later."""
    package = Path(corpus_cache.__file__).parent
    keyed = {file for pattern in corpus_cache._CODE for file in package.glob(pattern)}
    others = {package / f"{name}.py" for name in ("corpus_cache", "fingerprint", "network")}
    found, waiting = set(), {package / "sources.py"}
    while waiting:
        file = waiting.pop()
        found.add(file)
        for name in re.findall(r"(?:from|import) tasks\.([\w.]+)", file.read_text("utf-8")):
            module = package.joinpath(*name.split("."))
            module = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
            waiting |= {module} - found - others
    assert found <= keyed, found - keyed
    assert {file for file in keyed if file.parent == package} <= found


def entry(tmp_path):
    (found,) = (tmp_path / "cache" / "parsed").iterdir()
    return found


def test_the_second_load_reads_the_cache(tmp_path, monkeypatch):
    first = load(tagging_card(tmp_path), tmp_path)
    assert sorted(p.name for p in entry(tmp_path).iterdir()) == [
        "meta.json", "test.arrow", "train.arrow",
    ]  # fmt: skip
    monkeypatch.setattr("tasks.sources.encoded_tables", None)  # would fail if it were called
    second = load(tagging_card(tmp_path), tmp_path)
    assert second.fingerprint == first.fingerprint and second.labels == first.labels
    assert second.splits["train"][:] == first.splits["train"][:]


def test_changed_files_and_settings_are_read_again(tmp_path):
    fingerprints = [load(tagging_card(tmp_path), tmp_path).fingerprint]
    stat = (tmp_path / "train").stat()
    text = (tmp_path / "train").read_text().replace("w7", "W7")
    (tmp_path / "train").write_text(text)
    os.utime(tmp_path / "train", ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size and time
    card = DatasetCard.parse(
        {**COMMON, "task": "sequence_tagging",
         "local": {"reader": "conll", "files": {"train": "train", "test": "test"}}}, "x",
    )  # fmt: skip
    fingerprints.append(load(card, tmp_path).fingerprint)
    stripped = card.model_copy(
        update={"local": card.local.model_copy(update={"options": {"tag_column": 1}})}
    )
    assert load(stripped, tmp_path).fingerprint == fingerprints[1]
    assert len(set(fingerprints)) == 2
    assert len(list((tmp_path / "cache" / "parsed").iterdir())) == 3


@pytest.mark.parametrize("damage", ["cut", "flip", "meta", "gone"])
def test_a_damaged_entry_is_made_again(tmp_path, damage):
    fingerprint = load(tagging_card(tmp_path), tmp_path).fingerprint
    path = entry(tmp_path) / "train.arrow"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        place = content.index(b"w17")
        path.write_bytes(content[:place] + b"W" + content[place + 1 :])
    elif damage == "meta":
        (entry(tmp_path) / "meta.json").write_text("{}")
    else:
        path.unlink()
    assert load(tagging_card(tmp_path), tmp_path).fingerprint == fingerprint
    assert path.read_bytes() == content
    assert len(list((tmp_path / "cache" / "parsed").iterdir())) == 1


def test_a_failed_read_leaves_no_entry(tmp_path):
    card = tagging_card(tmp_path)
    (tmp_path / "train").write_text("a\tO\nb\n")
    with pytest.raises(DataError, match="line 2: 1 columns"):
        load(card, tmp_path)
    parsed = tmp_path / "cache" / "parsed"
    assert not parsed.exists() or not list(parsed.iterdir())


def test_a_cache_that_cannot_be_written_costs_the_cache_only(tmp_path, caplog):
    card = tagging_card(tmp_path)
    expected = load(card, tmp_path).fingerprint
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("a file")
    assert load(card, tmp_path).fingerprint == expected
    assert "goes on without this cache" in caplog.text


def test_directories_are_hashed_by_names_and_content(tmp_path):
    for folder, name, text in (("a", "1", "xy"), ("b", "1", "xz"), ("c", "2", "xy")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    hashes = {file_hash(tmp_path / folder) for folder in "abc"}
    assert len(hashes) == 3
    (tmp_path / "b" / "1").write_text("xy")
    assert file_hash(tmp_path / "b") == file_hash(tmp_path / "a")


def test_importing_is_light():
    program = (
        "import sys, tasks.data, tasks.dataset_card; "
        "print([m for m in ('torch', 'datasets', 'transformers', 'pandas', 'pyarrow') "
        "if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    ).stdout  # fmt: skip
    assert output.strip() == "[]"


def test_indices_of_numpy_type_work(tmp_path):
    rows = load(tagging_card(tmp_path), tmp_path).splits["train"]
    chosen = rows.select(np.array([3, 1], dtype=np.int64))
    assert chosen["row"][:] == [rows[3]["row"], rows[1]["row"]]
