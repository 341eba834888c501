"""Data sets as members of one, and content that stands twice."""

from __future__ import annotations

import json
import os

import pytest
from corpora import COMMON, conll, load, squad, tagging_card

from tasks.dataset_card import DatasetCard
from tasks.errors import DataError

# joining ------------------------------------------------------------------------------------------


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
    with pytest.raises(DataError, match=r"1 columns.* one bad record more than the 1 of skip_bad"):
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


# the same content twice ---------------------------------------------------------------------------


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
