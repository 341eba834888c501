"""Small corpora from files: sentences with tags, questions by document."""

from __future__ import annotations

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard

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


def squad(titles):
    return {"data": [
        {"title": title, "paragraphs": [{"context": "in Rome", "qas": [
            {"id": f"{title}{i}", "question": "Where?",
             "answers": [{"text": "Rome", "answer_start": 3}]} for i in range(3)
        ]}]} for title in titles
    ]}  # fmt: skip
