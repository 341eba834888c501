"""The cards of tagging sets that may not be passed on, on small files in the same places."""

from __future__ import annotations

import bz2
from pathlib import Path

import pytest
import yaml

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError

CARDS = Path(__file__).parents[2] / "configs" / "datasets"


def load(name, tmp_path, files):
    for place, content in files.items():
        path = tmp_path / "data" / name / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    content = yaml.safe_load((CARDS / f"{name}.yaml").read_text(encoding="utf-8"))
    content.pop("expected", None)
    card = DatasetCard.parse(content, f"{name}.yaml")
    return load_corpus(card, data_root=tmp_path, cache_dir=tmp_path / "cache", source="local")


def tags(corpus, split, row=0):
    return [corpus.labels[tag] for tag in corpus.splits[split][row]["tags"]]


def test_conll2003(tmp_path):
    text = "-DOCSTART- -X- O O\n\nU.N. NNP I-NP I-ORG\nofficial NN I-NP O\nEkeus NNP I-NP I-PER\n\n"
    other = {"eng.testa": "Annan", "eng.testb": "Blix"}
    files = {name: text.replace("Ekeus", person) for name, person in other.items()}
    files["eng.train"] = text
    corpus = load("conll2003", tmp_path, files)
    assert {split: len(rows) for split, rows in corpus.splits.items()} == {
        "train": 1, "validation": 1, "test": 1,
    }  # fmt: skip
    assert tags(corpus, "train") == ["B-ORG", "O", "B-PER"]


def test_ontonotes5(tmp_path):
    def document(name, cell):
        line = f"{name} 0 0 Monday NNP (TOP*) - - - - {cell} -"
        return f"#begin document ({name}); part 000\n{line}\n\n#end document\n"

    where = "{}/data/english/annotations/{}.gold_conll"
    splits = ("train", "development", "test")
    names = ("nw/wsj/00/wsj_0001", "bc/cctv/00/cctv_0001")
    files = {
        where.format(s, n): document(n, "(DATE)").replace("Monday", s)
        for s in splits
        for n in names
    }
    corpus = load("ontonotes5", tmp_path, files)
    assert corpus.splits["test"]["client"][:] == sorted(names)
    assert tags(corpus, "validation", 1) == ["B-DATE"]
    assert len(corpus.labels) == 1 + 2 * 18
    files[where.format("train", names[0])] = document(names[0], "(WEEKDAY)")
    with pytest.raises(DataError, match="word 1: label 'B-WEEKDAY'; expected one of O, B-CARDINAL"):
        load("ontonotes5", tmp_path, files)


def test_wikiner_en(tmp_path):
    lines = [f"Ada|NNP|I-PER Bo|NNP|B-PER sat|VBD|O {n}|CD|O\n\n" for n in range(100)]
    content = bz2.compress("".join(lines).encode())
    corpus = load("wikiner_en", tmp_path, {"aij-wikiner-en-wp3.bz2": content})
    assert {split: len(rows) for split, rows in corpus.splits.items()} == {
        "train": 81, "validation": 9, "test": 10,
    }  # fmt: skip
    assert tags(corpus, "test") == ["B-PER", "B-PER", "O", "O"]


def test_ploner(tmp_path):
    files = {
        f"{source}_{split}.txt": f"{source} I-ORG\nsaid O\n\n"
        for source in ("conll", "wnut")
        for split in ("train", "dev", "test")
    }
    corpus = load("ploner", tmp_path, files)
    for rows in corpus.splits.values():
        assert rows["client"][:] == ["conll", "wnut"]
    assert tags(corpus, "train") == ["B-ORG", "O"]
