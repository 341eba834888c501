"""Labels that differ in blanks nobody sees, and labels of test that train does not have."""

from __future__ import annotations

import pytest
from corpora import COMMON, load

from tasks.dataset_card import DatasetCard
from tasks.errors import DataError
from tasks.unseen_labels import unseen_labels

LABELS = {"task": "text_classification", "skew": "label"}
TAGS = {"task": "sequence_tagging", "skew": "entity_types"}


def corpus(tmp_path, content, kind, reader, skip_bad=0, **options):
    """content: split -> the text of its file."""
    ending = "csv" if reader == "table" else "conll"
    for split, text in content.items():
        (tmp_path / f"{split}.{ending}").write_text(text, encoding="utf-8")
    local = {"reader": reader, "files": {s: f"{s}.{ending}" for s in content}, "options": options}
    card = DatasetCard.parse({**COMMON, **kind, "local": local}, "x.yaml")
    return load(card, tmp_path, skip_bad=skip_bad)


TRAIN = "text,label\n" + "".join(f"text {n},{('pos', 'neg')[n % 2]}\n" for n in range(20))


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u3000"])
def test_labels_with_blanks_around_them(tmp_path, blank):
    content = {"train": TRAIN, "test": f"text,label\nfine,{blank}pos\nbad,neg\n"}
    with pytest.raises(DataError, match=r"test\.csv line 2: label: .*pos'; expected a name with"):
        corpus(tmp_path, content, LABELS, "table")
    found = corpus(tmp_path, content, LABELS, "table", skip_bad=1)
    assert found.labels == ["neg", "pos"] and len(found.skipped) == 1


def test_clients_with_blanks_around_them(tmp_path):
    rows = [f"text {n},ann{' ' * (n == 3)},{('pos', 'neg')[n % 2]}\n" for n in range(20)]
    content = {"train": "text,client,label\n" + "".join(rows)}
    with pytest.raises(DataError, match=r"train\.csv line 5: client: 'ann '; expected a name with"):
        corpus(tmp_path, content, {**LABELS, "test": {"fraction": 0.2}}, "table",
               columns={"client": "client"})  # fmt: skip


SENTENCES = "".join(f"w{n}\tB-{('PER', 'LOC')[n % 2]}\nx\tO\n\n" for n in range(20))


@pytest.mark.parametrize(("content", "options"), [
    ("Ada\tB-PER\u00a0\nx\tO\n\nBo\tB-PER\n", {}),
    ("Ada\tB-PER \nx\tO\n\nBo\tB-PER\n", {}),
    ("Ada\tS-PER\u00a0\nx\tO\n\nBo\tS-PER\n", {"scheme": "bioes"}),
])  # fmt: skip
def test_tags_with_blanks_around_them(tmp_path, content, options):
    train = SENTENCES.replace("B-", "S-") if options else SENTENCES
    content = {"train": train, "test": content}
    with pytest.raises(
        DataError, match=r"test\.conll line 1 word 1: label 'B-PER.*'; expected a n"
    ):
        corpus(tmp_path, content, TAGS, "conll", **options)
    found = corpus(tmp_path, content, TAGS, "conll", skip_bad=1, **options)
    assert found.labels == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def test_conll_clients_with_blanks_around_them(tmp_path):
    content = {"train": SENTENCES.replace("\t", "\tann\t"), "test": "Bo\tann\u00a0\tB-PER\n"}
    with pytest.raises(DataError, match=r"test\.conll line 1: client: 'ann.*'; expected a name"):
        corpus(tmp_path, content, TAGS, "conll", client_column=1)


# labels of test alone ---------------------------------------------------------------------------


def unseen(found):
    train, test = (found.splits[split].data.table for split in ("train", "test"))
    return unseen_labels(found.task, found.labels, train, test)


def test_classes_that_only_test_has(tmp_path):
    content = {"train": TRAIN, "test": "text,label\na,pos\nb,Pos\nc,NEG\n"}
    assert unseen(corpus(tmp_path, content, LABELS, "table")) == ["NEG", "Pos"]
    content["test"] = "text,label\na,pos\n"
    assert unseen(corpus(tmp_path, content, LABELS, "table")) == []


def test_types_that_only_test_has(tmp_path):
    """A type that train has is seen, even where only test has its I- tag."""
    test = "Ada\tB-PER\nB\tI-PER\n\nAcme\tB-Org\nx\tO\n"
    found = corpus(tmp_path, {"train": SENTENCES, "test": test}, TAGS, "conll")
    assert unseen(found) == ["Org"]


def test_a_task_without_labels(tmp_path):
    assert unseen_labels("seq2seq", [], None, None) == []
