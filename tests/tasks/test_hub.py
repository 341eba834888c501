"""Hub sources, on local copies with the features of the real repositories; offline errors."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import yaml

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError

CARDS = Path(__file__).parents[2] / "configs" / "datasets"
COMMON = {"name": "x", "version": 1, "licence": "l", "language": "en", "description": "d",
          "skew": "cluster"}  # fmt: skip


@pytest.fixture
def no_network(monkeypatch):
    """Fails the test when anything opens a connection or looks up a host."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"network used: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def load(card, tmp_path, folder="repository"):
    hub = {"id": str(tmp_path / folder), "revision": "0" * 40, **card.pop("hub")}
    parsed = DatasetCard.parse({**COMMON, **card, "hub": hub}, "x.yaml")
    return load_corpus(parsed, data_root=None, cache_dir=tmp_path / "cache", source="hub")


def parquet(tmp_path, name, rows, features):
    from datasets import Dataset, Features

    path = tmp_path / "repository" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=Features(features)).to_parquet(str(path))


def wikiann(tmp_path, names=("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"), bad=False):
    from datasets import ClassLabel, List, Value

    features = {
        "tokens": List(Value("string")),
        "ner_tags": List(ClassLabel(names=list(names))),
        "langs": List(Value("string")),
        "spans": List(Value("string")),
    }
    row = {"tokens": ["Ada", "L", "in", "Paris"], "ner_tags": [1, 2, 0, 5], "langs": ["en"] * 4,
           "spans": ["PER: Ada L", "LOC: Paris"]}  # fmt: skip
    for split in ("train", "validation", "test"):
        rows = [row, {**row, "ner_tags": [2, 2, 0, 5] if bad else [0, 0, 0, 0]}]
        parquet(tmp_path, f"en/{split}/0000.parquet", rows, features)
    return {
        "task": "sequence_tagging",
        "hub": {
            "files": {s: f"en/{s}/0000.parquet" for s in ("train", "validation", "test")},
            "columns": {"words": "tokens", "tags": "ner_tags"},
            "labels": ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"],
        },
        "labels": ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"],
    }


def test_wikiann(tmp_path, no_network):
    corpus = load(wikiann(tmp_path), tmp_path)
    assert corpus.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    first = corpus.splits["train"][0]
    assert first == {"words": ["Ada", "L", "in", "Paris"], "tags": [5, 6, 0, 1], "row": 0,
                     "client": "", "source": ""}  # fmt: skip
    assert not corpus.synthetic


def test_wikiann_with_other_names_in_the_repository(tmp_path):
    card = wikiann(tmp_path, names=("O", "B-ORG", "I-ORG", "B-PER", "I-PER", "B-LOC", "I-LOC"))
    with pytest.raises(DataError, match=r"as in hub\.labels"):
        load(card, tmp_path)


def test_wikiann_with_broken_tags(tmp_path):
    with pytest.raises(DataError, match="row 1 word 1: tag I-PER follows the sentence start"):
        load(wikiann(tmp_path, bad=True), tmp_path)


CONLL2003 = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC"]


def test_conll2003(tmp_path, no_network):
    from datasets import ClassLabel, List, Value

    card = yaml.safe_load((CARDS / "conll2003.yaml").read_text(encoding="utf-8"))
    features = {
        "id": Value("string"),
        "tokens": List(Value("string")),
        "pos_tags": List(ClassLabel(names=['"', "NNP", "VBZ"])),
        "chunk_tags": List(ClassLabel(names=["O", "B-NP", "B-VP"])),
        "ner_tags": List(ClassLabel(names=CONLL2003)),
    }
    rows = [{"id": "0", "tokens": ["EU", "rejects", "German"], "pos_tags": [1, 2, 1],
             "chunk_tags": [1, 2, 1], "ner_tags": [3, 0, 7]}]  # fmt: skip
    for file in card["hub"]["files"].values():
        parquet(tmp_path, file, rows, features)
    corpus = load({
        "task": card["task"], "labels": card["labels"],
        "hub": {key: card["hub"][key] for key in ("files", "columns", "labels")},
    }, tmp_path)  # fmt: skip
    (first,) = corpus.splits["test"]
    assert first["words"] == ["EU", "rejects", "German"]
    assert [corpus.labels[tag] for tag in first["tags"]] == ["B-ORG", "O", "B-MISC"]


def squad(tmp_path, start=6, text="Rome", unanswered=()):
    from datasets import List, Value

    features = {
        "id": Value("string"),
        "title": Value("string"),
        "context": Value("string"),
        "question": Value("string"),
        "answers": {"text": List(Value("string")), "answer_start": List(Value("int32"))},
    }
    rows = [
        {"id": f"q{i}", "title": title, "context": "Paris Rome", "question": "Which?",
         "answers": text and {"text": [text], "answer_start": [start]}}
        for i, title in enumerate(["A", "B", "C", "A", "D"])
    ]  # fmt: skip
    for place in unanswered:
        rows[place]["answers"] = {"text": [], "answer_start": []}
    parquet(tmp_path, "plain_text/validation.parquet", rows, features)
    everywhere = {"train": "validation", "validation": "validation", "test": "validation"}
    return {
        "task": "question_answering",
        "client": "title",
        "hub": {
            "files": {"validation": "plain_text/validation.parquet"},
            "splits": everywhere,
            "select_column": "title",
            "select": {"train": ["A", "C"], "validation": ["B"], "test": ["D"]},
        },
    }


def test_squad_split_by_article(tmp_path, no_network):
    corpus = load(squad(tmp_path), tmp_path)
    assert corpus.splits["train"]["id"][:] == ["q0", "q2", "q3"]
    assert corpus.splits["validation"]["id"][:] == ["q1"]
    assert corpus.splits["test"][0] == {
        "id": "q4", "question": "Which?", "context": "Paris Rome", "title": "D",
        "answers": {"text": ["Rome"], "start": [6]}, "row": 0, "client": "D", "source": "",
    }  # fmt: skip


def test_squad_with_a_wrong_offset(tmp_path):
    with pytest.raises(DataError, match=r"id q0: answer 'Rome' is not at offset 5"):
        load(squad(tmp_path, start=5), tmp_path)


@pytest.mark.parametrize(("start", "text", "message"), [
    (None, "Rome", "answer 'Rome' at None"),
    (6, None, "id q0: .*no lists|column 'answers' is empty|0 answer texts"),
])  # fmt: skip
def test_answers_of_nothing(tmp_path, start, text, message):
    with pytest.raises(DataError, match=message):
        load(squad(tmp_path, start=start, text=text), tmp_path)


def test_unanswerable_questions_are_refused_or_dropped(tmp_path):
    card = squad(tmp_path, unanswered=[2])
    with pytest.raises(DataError, match=r"id q2: an unanswerable.*hub\.unanswerable: drop"):
        load({**card}, tmp_path)
    card["hub"]["unanswerable"] = "drop"
    corpus = load(card, tmp_path)
    assert corpus.splits["train"]["id"][:] == ["q0", "q3"]
    assert corpus.left_out == {"unanswerable": 1} and corpus.skipped == ()
    with pytest.raises(DataError, match=r"hub\.unanswerable: text_classification has no questions"):
        load({"task": "text_classification", "hub": {"unanswerable": "drop"}}, tmp_path)


def test_an_article_that_is_not_there(tmp_path):
    card = squad(tmp_path)
    card["hub"]["select"]["test"] = ["D", "E"]
    with pytest.raises(DataError, match=r"hub\.select\.test: no row with title 'E'"):
        load(card, tmp_path)


def newsgroups(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    for split, count in (("train", 20), ("test", 2)):
        lines = [
            json.dumps({"text": f"t{i}", "label": i % 2, "label_text": ("sci.med", "alt.x")[i % 2]})
            for i in range(count)
        ]
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return {
        "task": "text_classification",
        "hub": {
            "files": {"train": "train.jsonl", "test": "test.jsonl"},
            "splits": {"train": "train", "test": "test"},
            "columns": {"label": "label_text"},
        },
    }


def test_newsgroups_by_label_text(tmp_path, no_network):
    corpus = load(newsgroups(tmp_path), tmp_path)
    assert corpus.labels == ["alt.x", "sci.med"]
    assert corpus.splits["test"]["label"][:] == [1, 0]
    assert {split: len(rows) for split, rows in corpus.splits.items()} == {
        "train": 18, "validation": 2, "test": 2,
    }  # fmt: skip


def test_integer_labels_need_names(tmp_path):
    card = newsgroups(tmp_path)
    del card["hub"]["columns"]
    with pytest.raises(DataError, match="label 0 without a name"):
        load(card, tmp_path)
    card = newsgroups_again(card, ["sci.med", "alt.x"])
    assert load(card, tmp_path).splits["test"]["label"][:] == [1, 0]
    card = newsgroups_again(card, ["sci.med"])
    with pytest.raises(DataError, match=r"row 1: label 1; expected 0 to 0"):
        load(card, tmp_path)


def newsgroups_again(card, labels):
    hub = {
        "files": {"train": "train.jsonl", "test": "test.jsonl"},
        "splits": {"train": "train", "test": "test"},
        "labels": labels,
    }
    return {**card, "hub": hub}


def test_ag_news_has_names_for_its_numbers(tmp_path, no_network):
    from datasets import ClassLabel, Value

    names = ["World", "Sports", "Business", "Sci/Tech"]
    features = {"text": Value("string"), "label": ClassLabel(names=names)}
    rows = [{"text": f"Title {n} text\\", "label": n % 4} for n in range(20)]
    for split in ("train", "test"):
        parquet(tmp_path, f"data/{split}-00000-of-00001.parquet", rows, features)
    card = yaml.safe_load((CARDS / "ag_news.yaml").read_text(encoding="utf-8"))
    del card["hub"]["id"], card["hub"]["revision"], card["local"], card["expected"]
    corpus = load({key: card[key] for key in ("task", "labels", "hub")}, tmp_path)
    assert corpus.labels == sorted(names)
    assert [corpus.labels[n] for n in corpus.splits["test"]["label"][:4]] == names


def test_e2e_references_are_grouped_for_evaluation(tmp_path, no_network):
    from datasets import Value

    features = {"meaning_representation": Value("string"), "human_reference": Value("string")}
    pairs = [("name[A]", "A."), ("name[B]", "B."), ("name[A]", "An A.")]
    rows = [{"meaning_representation": mr, "human_reference": ref} for mr, ref in pairs]
    for split in ("train", "validation", "test"):
        parquet(tmp_path, f"default/{split}/0000.parquet", rows, features)
    corpus = load({
        "task": "seq2seq",
        "hub": {
            "files": {s: f"default/{s}/0000.parquet" for s in ("train", "validation", "test")},
            "columns": {"input": "meaning_representation", "targets": "human_reference"},
        },
    }, tmp_path)  # fmt: skip
    assert corpus.splits["train"]["targets"][:] == [["A."], ["B."], ["An A."]]
    assert corpus.splits["test"]["targets"][:] == [["A.", "An A."], ["B."]]
    assert corpus.labels == []


def wmt(tmp_path, **hub):
    from datasets import Translation

    features = {"translation": Translation(languages=["de", "en"])}
    pairs = [("Ja.", "Yes."), ("Nein.", "No."), ("Ja.", "It is.")]
    rows = [{"translation": {"de": de, "en": en}} for de, en in pairs]
    for split in ("train", "validation", "test"):
        parquet(tmp_path, f"de-en/{split}-00000-of-00001.parquet", rows, features)
    return {
        "task": "seq2seq",
        "hub": {
            "files": {s: f"de-en/{s}-*.parquet" for s in ("train", "validation", "test")},
            "columns": {"input": "translation.de", "targets": "translation.en"},
            "group_references": False,
            **hub,
        },
    }


def test_wmt_in_a_column_of_translations(tmp_path, no_network):
    corpus = load(wmt(tmp_path), tmp_path)
    for rows in corpus.splits.values():
        assert rows["input"][:] == ["Ja.", "Nein.", "Ja."]
        assert rows["targets"][:] == [["Yes."], ["No."], ["It is."]]


def test_wmt_of_another_language(tmp_path):
    with pytest.raises(DataError, match=r"no column 'translation\.fr' for 'input'; .*lation\.de"):
        load(wmt(tmp_path, columns={"input": "translation.fr", "targets": "translation.en"}),
             tmp_path)  # fmt: skip


def test_cnn_dailymail(tmp_path, no_network):
    from datasets import Value

    features = {name: Value("string") for name in ("article", "highlights", "id")}
    rows = [{"article": "An article .", "highlights": "One .\nTwo .", "id": "a1"}]
    for split in ("train", "validation", "test"):
        parts = 2 if split == "train" else 1
        for part in range(parts):
            name = f"3.0.0/{split}-0000{part}-of-0000{parts}.parquet"
            parquet(tmp_path, name, rows * (part + 1), features)
    hub = {
        "files": {s: f"3.0.0/{s}-*.parquet" for s in ("train", "validation", "test")},
        "columns": {"input": "article", "targets": "highlights"},
        "group_references": False,
    }
    corpus = load({"task": "seq2seq", "hub": hub}, tmp_path)
    assert len(corpus.splits["train"]) == 3
    assert corpus.splits["test"]["targets"][:] == [["One .\nTwo ."]]
    rows[0]["highlights"] = "  "
    parquet(tmp_path, "3.0.0/test-00000-of-00001.parquet", rows, features)
    with pytest.raises(DataError, match="split test row 0: an empty target"):
        load({"task": "seq2seq", "hub": hub}, tmp_path)


# rows that do not fit -------------------------------------------------------------------------

WORDS = {"words": ["Ada", "sleeps"], "tags": ["B-PER", "O"]}
ASKED = {"id": "q", "title": "T", "question": "Who?", "context": "Ada",
         "answers": {"text": ["Ada"], "answer_start": [0]}}  # fmt: skip
CASES = {
    "text": ("text_classification", {"text": "good", "label": "yes"}),
    "words": ("sequence_tagging", WORDS),
    "question": ("question_answering", ASKED),
}


def rows_of(tmp_path, task, rows, skip_bad=0):
    """The training rows of a repository of JSON lines, in which every split has the same."""
    folder = tmp_path / "repository"
    folder.mkdir(parents=True)
    splits = ("train", "validation", "test")
    for split in splits:
        lines = [json.dumps({**row, "id": f"{split}{n}"} if row.get("id") == "q" else row)
                 for n, row in enumerate(rows)]  # fmt: skip
        (folder / f"{split}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    hub = {"id": str(folder), "revision": "0" * 40, "files": {s: f"{s}.jsonl" for s in splits}}
    card = DatasetCard.parse({**COMMON, "task": task, "hub": hub}, "x.yaml")
    return load_corpus(
        card, data_root=None, cache_dir=tmp_path / "cache", source="hub", skip_bad=skip_bad
    ).splits["train"]


@pytest.mark.parametrize(("kind", "change", "message"), [
    ("text", {"text": 7}, "row 0: text: 7; expected text"),
    ("text", {"text": ["a"]}, "row 0: text: a list; expected text"),
    ("text", {"label": " yes"}, "row 0: label: ' yes'; expected a name without blanks around it"),
    ("text", {"label": ""}, "row 0: an empty label"),
    ("words", {"words": []}, "row 0: an empty words"),
    ("words", {"words": "ab", "tags": "OO"}, "row 0 word 1: tag 'OO'"),
    ("words", {"words": ["Ada", " "]}, "row 0: an empty word"),
    ("words", {"words": [1, 2]}, "row 0: word: int; expected text"),
    ("words", {"tags": {"a": "O"}}, "row 0: tags: dict"),
    ("question", {"question": 7}, "row 0: question: int; expected text"),
    ("question", {"question": " "}, "row 0: an empty question"),
    ("question", {"context": 7}, "row 0: context: int; expected text"),
    ("question", {"context": ["Ada"]}, "row 0: context: list; expected text"),
    ("question", {"id": " "}, "row 0: an empty id"),
    ("question", {"title": ["T"]}, "row 0: title: list"),
])  # fmt: skip
def test_a_row_that_does_not_fit_is_one_bad_record(tmp_path, kind, change, message):
    task, row = CASES[kind]
    rows = [{**row, **change}] * 2  # one type in a column
    with pytest.raises(DataError) as error:
        rows_of(tmp_path, task, rows)
    assert message in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(DataError, match="no examples"):
        rows_of(tmp_path / "again", task, rows, skip_bad=99)


def test_ids_that_are_numbers_and_texts_that_are_blank(tmp_path):
    rows = [{**ASKED, "id": n, "title": ""} for n in range(4)]
    assert rows_of(tmp_path / "ids", "question_answering", rows)["id"][:] == ["0", "1", "2", "3"]
    rows = [{"text": "", "label": "a"}, {"text": "x", "label": "b"}]
    assert rows_of(tmp_path / "texts", "text_classification", rows)["text"][:] == ["", "x"]


def test_a_column_that_is_not_there(tmp_path):
    card = newsgroups(tmp_path)
    card["hub"]["columns"] = {"text": "body", "label": "label_text"}
    with pytest.raises(DataError, match="no column 'body' for 'text'; expected one of"):
        load(card, tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    card = newsgroups(tmp_path)
    (tmp_path / "repository" / "test.jsonl").unlink()
    with pytest.raises(DataError, match="could not be loaded"):
        load(card, tmp_path)


def test_a_changed_copy_is_read_again(tmp_path):
    first = load(newsgroups(tmp_path), tmp_path)
    path = tmp_path / "repository" / "test.jsonl"
    path.write_text(path.read_text().replace("t0", "T0"), encoding="utf-8")
    card = newsgroups_again({"task": "text_classification"}, ["sci.med", "alt.x"])
    second = load({**card, "hub": {**card["hub"], "columns": {"label": "label_text"}}}, tmp_path)
    assert second.splits["test"]["text"][:] == ["T0", "t1"]
    assert first.fingerprint != second.fingerprint


def hub_card(**more):
    return DatasetCard.parse({
        **COMMON, "task": "text_classification", **more,
        "hub": {"id": "nobody/nothing", "revision": "0" * 40,
                "splits": {"train": "train", "test": "test"}},
    }, "x.yaml")  # fmt: skip


def test_no_network_is_one_line(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr("tasks.network.getproxies", dict)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(DataError) as error:
        load_corpus(hub_card(), data_root=None, cache_dir=tmp_path)
    assert str(error.value) == (
        "hub nobody/nothing at 000000000000, split train: no network; expected a network "
        "connection or local files; connect"
    )
    local = {"reader": "table", "files": {"train": "a.csv", "test": "b.csv"}}
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    messages = {tmp_path: f"no file at {tmp_path / 'b.csv'}; check FEDNLP", None: "set FEDNLP_DATA"}
    for root, message in messages.items():
        with pytest.raises(DataError, match=f"no network.* give the local files: .*{message}"):
            load_corpus(hub_card(local=local), data_root=root, cache_dir=tmp_path)


def test_offline_mode_is_one_line(tmp_path, monkeypatch, capfd, no_network):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"could not be loaded .*; connect") as error:
        load_corpus(hub_card(), data_root=None, cache_dir=tmp_path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")
