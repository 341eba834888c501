"""Real data sets in their original files: published counts, first rows, repeatability."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard
from tasks.errors import DataError

pytestmark = pytest.mark.skipif("FEDNLP_DATA" not in os.environ, reason="needs FEDNLP_DATA")
CONFIGS = Path(__file__).parents[2] / "configs" / "datasets"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def load(name, cache):
    card = find_card(name)
    return load_corpus(
        card, data_root=Path(os.environ["FEDNLP_DATA"]), cache_dir=cache,
        source="auto" if card.members else "local", find_card=find_card,
    )  # fmt: skip


def find_card(name, key=""):
    path = CONFIGS / f"{name}.yaml"
    return DatasetCard.parse(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))


def sizes(corpus):
    return {split: len(rows) for split, rows in corpus.splits.items()}


def test_20newsgroups(cache):
    corpus = load("20newsgroups", cache)
    assert sizes(corpus) == {"train": 11314 - 1131, "validation": 1131, "test": 7532}
    assert len(corpus.labels) == 20 and corpus.labels[0] == "alt.atheism"
    first = corpus.splits["train"][0]
    assert first["text"].startswith("Archive-name: atheism/resources\nAlt-atheism-archive-name")
    assert first["label"] == 0 and first["row"] == 0
    counts = [corpus.splits["validation"]["label"][:].count(label) for label in range(20)]
    assert min(counts) >= 37 and max(counts) <= 60  # a tenth of 377 to 600


def test_wikiann(cache):
    corpus = load("wikiann_en", cache)
    assert sizes(corpus) == {"train": 20000, "validation": 10000, "test": 10000}
    first = corpus.splits["train"][0]
    assert first["words"][:3] == ["R.H.", "Saunders", "("]
    assert [corpus.labels[tag] for tag in first["tags"]][:3] == ["B-ORG", "I-ORG", "O"]


def test_wnut17(cache):
    corpus = load("wnut17", cache)
    assert sizes(corpus) == {"train": 3394, "validation": 1009, "test": 1287}
    assert {split: sum(map(len, rows["words"])) for split, rows in corpus.splits.items()} == {
        "train": 62730, "validation": 15733, "test": 23394,
    }  # fmt: skip
    first = corpus.splits["train"][0]
    assert first["words"][:3] == ["@paulwalk", "It", "'s"]
    pairs = zip(first["words"], (corpus.labels[tag] for tag in first["tags"]), strict=True)
    assert [f"{word} {tag}" for word, tag in pairs if tag != "O"] == [
        "Empire B-location", "State I-location", "Building I-location", "ESB B-location",
    ]  # fmt: skip


def test_btc(cache):
    corpus = load("btc", cache)
    assert sizes(corpus) == {"train": 5338, "validation": 2001, "test": 2000}
    clients = {split: set(rows["client"]) for split, rows in corpus.splits.items()}
    assert clients == {"train": {"a", "b", "e", "g"}, "validation": {"h"}, "test": {"f"}}
    lost = [
        sum(words.count("\ufffd") for words in corpus.splits[s]["words"]) for s in corpus.splits
    ]
    assert lost == [0, 4, 2] and not any("" in words for words in corpus.splits["test"]["words"])


def test_btc_by_segment(cache):
    corpus = load("btc_by_segment", cache)
    assert sizes(corpus) == {"train": 6724, "validation": 747, "test": 1868}
    together = [client for rows in corpus.splits.values() for client in rows["client"]]
    assert {client: together.count(client) for client in sorted(set(together))} == {
        "a": 1000, "b": 2000, "e": 200, "f": 2000, "g": 2138, "h": 2001,
    }  # fmt: skip
    assert corpus.splits["train"]["source"][:] == corpus.splits["train"]["client"][:]


def test_squad_by_article(cache):
    corpus = load("squad_by_article", cache)
    assert sizes(corpus) == {"train": 7484, "validation": 894, "test": 2192}
    titles = {split: set(rows["title"]) for split, rows in corpus.splits.items()}
    assert {split: len(names) for split, names in titles.items()} == {
        "train": 34, "validation": 4, "test": 10,
    }  # fmt: skip
    for split, names in titles.items():
        assert names == set(corpus.card.hub.select[split])
    assert corpus.splits["test"][0]["answers"]["text"][0] == "October 1973"
    assert corpus.splits["test"][0]["client"] == "1973_oil_crisis"


def test_qamr(cache):
    corpus = load("qamr", cache)
    assert sizes(corpus) == {"train": 17017, "validation": 1891, "test": 18770}
    train, validation = (corpus.splits[split] for split in ("train", "validation"))
    assert len(set(train["title"])) + len(set(validation["title"])) == 499
    assert len(set(corpus.splits["test"]["title"])) == 480
    assert len({*train["client"], *validation["client"]}) == 222
    answers = {row["id"]: row["answers"]["text"] for row in corpus.splits["test"]}
    assert max(map(len, answers.values())) == 3
    assert sum(map(len, answers.values())) == 30926


def test_qamr_without_cut_answers(cache):
    path = CONFIGS / "qamr.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["local"]["options"]["noncontiguous"] = "drop"
    content["expected"] = {"train": 18908 - 45, "test": 18770 - 50}
    card = DatasetCard.parse(content, "drop")
    corpus = load_corpus(card, data_root=Path(os.environ["FEDNLP_DATA"]), cache_dir=cache)
    assert corpus.left_out == {"without a contiguous answer": 95} and corpus.skipped == ()


def test_policyqa(cache):
    corpus = load("policyqa", cache)
    assert sizes(corpus) == {"train": 3809 - 377, "validation": 377, "test": 4152}
    sites = {split: set(rows["client"]) for split, rows in corpus.splits.items()}
    assert {split: len(names) for split, names in sites.items()} == {
        "train": 18, "validation": 2, "test": 20,
    }  # fmt: skip
    assert not (sites["train"] | sites["validation"]) & sites["test"]


def test_covidqa(cache):
    corpus = load("covidqa", cache)
    assert sizes(corpus) == {"train": 994, "validation": 110, "test": 276}
    articles = [set(rows["title"]) for rows in corpus.splits.values()]
    assert sum(map(len, articles)) == len(set.union(*articles)) == 98
    rows = {row["id"]: row for split in corpus.splits.values() for row in split}
    assert rows["1057"]["answers"]["text"] == ["50 million deaths worldwide"]  # of article 2684
    assert rows["1719"]["answers"]["text"] == [" HCoV-OC43 and HCoV-229E"]


def test_covidqa_offsets_are_as_wrong_as_the_card_says():
    from tasks.readers.squad_json import SquadOptions, read

    path = Path(os.environ["FEDNLP_DATA"]) / "data/covidqa/200423_covidQA.json"
    options = SquadOptions(title_key="document_id", integer_ids=True)
    records = list(read(path, "train", options))
    assert len(records) == 1380
    assert sum(isinstance(record, DataError) for record in records) == 234


def test_the_official_development_set_of_squad():
    from tasks.readers.squad_json import SquadOptions, read

    path = Path(os.environ["FEDNLP_DATA"]) / "data/squad_v1.1/dev-v1.1.json"
    rows = [row for _, row in read(path, "test", SquadOptions())]
    assert len({row["id"] for row in rows}) == len(rows) == 10570
    assert sum(len(row["answers"]["text"]) for row in rows) == 34726
    assert len({row["title"] for row in rows}) == 48


def test_qa_by_source(cache):
    corpus = load("qa_by_source", cache)
    assert sizes(corpus) == {"train": 9994, "validation": 1010, "test": 3276}
    for rows in corpus.splits.values():
        assert set(rows["source"]) == {"squad_by_article", "qamr", "policyqa", "covidqa"}
        assert rows["client"][:] == rows["source"][:]
        assert len(set(rows["id"])) == len(rows)
        for row in rows:
            context, answers = row["context"], row["answers"]
            for text, start in zip(answers["text"], answers["start"], strict=True):
                assert context[start : start + len(text)] == text


def test_e2e(cache):
    corpus = load("e2e_nlg", cache)
    assert sizes(corpus) == {"train": 42061, "validation": 547, "test": 630}
    references = {s: sum(map(len, rows["targets"])) for s, rows in corpus.splits.items()}
    assert references == {"train": 42061, "validation": 4672, "test": 4693}
    assert len(set(corpus.splits["train"]["input"])) == 4862
    first = corpus.splits["train"][0]
    assert first["targets"] == [
        "The Vaults pub near Café Adriatic has a 5 star rating.  Prices start at £30."
    ]


def test_aeslc(cache):
    corpus = load("aeslc", cache)
    assert sizes(corpus) == {"train": 14436, "validation": 1960, "test": 1906}
    references = {s: {len(row) for row in rows["targets"]} for s, rows in corpus.splits.items()}
    assert references == {"train": {1}, "validation": {4}, "test": {4}}
    owners = [owner for rows in corpus.splits.values() for owner in rows["client"]]
    assert len(set(owners)) == 145 and owners[0] == "allen-p"
    bodies = {split: set(rows["input"]) for split, rows in corpus.splits.items()}
    assert not bodies["train"] & (bodies["validation"] | bodies["test"])
    first = corpus.splits["train"][0]
    assert first["targets"] == ["Service Agreement"] and first["input"].endswith("contract.doc>>")


def test_sst2(cache):
    corpus = load("sst2", cache)
    assert sizes(corpus) == {"train": 67349, "validation": 872, "test": 1821}
    assert np.bincount(corpus.splits["train"]["label"]).tolist() == [29780, 37569]
    assert np.bincount(corpus.splits["test"]["label"]).tolist() == [912, 909]
    assert corpus.splits["train"][0]["text"] == "hide new secretions from the parental units"


def test_semeval2010_task8(cache):
    corpus = load("semeval2010_task8", cache)
    assert sizes(corpus) == {"train": 7200, "validation": 800, "test": 2717}
    assert len(corpus.labels) == 19
    assert list(corpus.splits["test"]["label"]).count(corpus.labels.index("Other")) == 454
    first = "The most common <e1>audits</e1> were about <e2>waste</e2> and recycling."
    assert corpus.splits["test"][0]["text"] == first


def test_sentiment140(cache):
    corpus = load("sentiment140_100k", cache)
    assert sizes(corpus) == {"train": 95000, "validation": 5000, "test": 359}
    assert np.bincount(corpus.splits["test"]["label"]).tolist() == [177, 182]
    corpus = load("sentiment140_users", cache)
    assert sizes(corpus) == {"train": 2161, "validation": 240, "test": 600}
    users = {user for split in corpus.splits.values() for user in split["client"]}
    assert len(users) == 2970


def test_ag_news(cache):
    corpus = load("ag_news_test_only", cache)
    assert sizes(corpus) == {"train": 5472, "validation": 608, "test": 1520}
    assert corpus.labels == ["Business", "Sci/Tech", "Sports", "World"]
    assert np.bincount(corpus.splits["test"]["label"]).tolist() == [380] * 4


@pytest.mark.parametrize("name", [
    "20newsgroups", "wikiann_en", "squad_by_article", "e2e_nlg", "qamr", "covidqa", "btc",
    "aeslc",
])  # fmt: skip
def test_parsed_and_cached_agree(name, cache, tmp_path):
    assert load(name, cache).fingerprint == load(name, tmp_path).fingerprint
