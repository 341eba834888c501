"""The cards of MRQA, on small files where the real ones go: a federation of its six sources."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import yaml

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard

CONFIGS = Path(__file__).parents[2] / "configs" / "datasets"
SOURCES = ("HotpotQA", "NewsQA", "SearchQA", "NaturalQuestionsShort", "SQuAD", "TriviaQA-web")


def small_card(name, key=""):
    """The committed card, without the counts of the real files."""
    content = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    assert content.pop("expected")
    return DatasetCard.parse(content, name)


def write(path, source, split, contexts):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"header": {"dataset": source, "split": split}}]
    for number in range(contexts):
        answer = {"text": "rome", "char_spans": [[3, 6]], "token_spans": [[1, 1]]}
        question = {"qid": f"{split}{number}", "question": "Where?", "answers": ["rome"],
                    "detected_answers": [answer]}  # fmt: skip
        lines.append({"context": f"in Rome {source} {number}", "qas": [question]})
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))


def test_the_six_sources_are_the_clients(tmp_path):
    for source in SOURCES:
        for split, contexts in (("train", 20), ("dev", 3)):
            write(
                tmp_path / "data" / "mrqa" / split / f"{source}.jsonl.gz", source, split, contexts
            )
    corpus = load_corpus(
        small_card("mrqa"), data_root=tmp_path, cache_dir=tmp_path / "cache", find_card=small_card
    )
    sizes = {split: len(rows) for split, rows in corpus.splits.items()}
    assert sizes == {"train": 6 * 18, "validation": 6 * 2, "test": 6 * 3}
    test = corpus.splits["test"]
    assert len(set(test["id"])) == 18 and test[0]["id"] == "mrqa_hotpotqa/dev0"
    assert set(test["client"]) == set(corpus.card.members) and len(corpus.card.members) == 6
    assert {tuple(limits.items()) for limits in corpus.card.members.values()} == {
        (("train", 10000), ("validation", 500), ("test", 500))
    }


def test_a_single_source_keeps_the_name_in_its_header(tmp_path):
    for split, contexts in (("train", 20), ("dev", 3)):
        write(tmp_path / "data/mrqa" / split / "NewsQA.jsonl.gz", "News", split, contexts)
    card = small_card("mrqa_newsqa")
    corpus = load_corpus(card, data_root=tmp_path, cache_dir=tmp_path / "cache")
    assert set(corpus.splits["train"]["source"]) == {"News"}
