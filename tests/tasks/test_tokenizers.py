"""Tokenizers: the same bytes in every process, exact offsets, special tokens, the cache."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from small_models import (
    TEXTS,
    folders,
    local_card,
    needs_data,
    scratch_card,
    tokenizer,
)

from tasks.errors import DataError
from tasks.model_card import ModelCard
from tasks.tokenizers import load_tokenizer, tokenizer_hash

__all__ = ["folders", "tokenizer"]

TRAIN = """
import random, sys
from tasks.model_card import TokenizerSettings
from tasks.tokenizers import train_bpe
rng = random.Random(0)
words = ["".join(rng.choice("abcdeé東") for _ in range(rng.randint(1, 7))) for _ in range(900)]
texts = [" ".join(rng.choice(words) for _ in range(20)) for _ in range(400)]
sys.stdout.write(train_bpe(texts, TokenizerSettings(vocab_size=900)).to_str())
"""


def test_two_processes_train_the_same_bytes():
    hashes = set()
    for threads, parallel, seed in (("1", "false", "1"), ("2", "true", "2"), ("4", "true", "3")):
        environment = os.environ | {
            "RAYON_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": parallel,
            "PYTHONHASHSEED": seed,
        }
        done = subprocess.run(
            [sys.executable, "-c", TRAIN],
            env=environment,
            capture_output=True,
            cwd=Path(__file__).parents[2],
            check=True,
        )
        assert len(done.stdout) > 10_000
        hashes.add(hashlib.sha256(done.stdout).hexdigest())
    assert len(hashes) == 1


def test_order_of_the_texts_does_not_matter(tmp_path):
    texts = [*TEXTS, "ab ba abc", "cb bc abc"]
    backwards = texts[::-1]
    hashes = {
        load_tokenizer(scratch_card(), lambda t=t: t, tmp_path)[1] for t in (texts, backwards)
    }
    assert len(hashes) == 1
    assert len(list(tmp_path.glob("tokenizers/*.json"))) == 2  # but the cache key is the corpus


def test_cache_is_used_and_leaves_no_temporary_files(tmp_path, monkeypatch):
    first = load_tokenizer(scratch_card(), lambda: TEXTS, tmp_path)
    stored = list(tmp_path.rglob("*"))
    assert [p.suffix for p in stored if p.is_file()] == [".json"]
    monkeypatch.setattr("tasks.tokenizers.train_bpe", lambda *_: pytest.fail("trained again"))
    second = load_tokenizer(scratch_card(), lambda: TEXTS, tmp_path)
    assert first[1] == second[1]
    assert second[0]("the cat")["input_ids"] == first[0]("the cat")["input_ids"]
    with pytest.raises(pytest.fail.Exception):
        load_tokenizer(scratch_card(), lambda: [*TEXTS, "more"], tmp_path)


def test_a_damaged_cache_is_made_again(tmp_path):
    known = load_tokenizer(scratch_card(), lambda: TEXTS, tmp_path)[1]
    path = next(tmp_path.glob("tokenizers/*.json"))
    whole = path.read_bytes()
    path.write_text("{")
    assert load_tokenizer(scratch_card(), lambda: TEXTS, tmp_path)[1] == known
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_the_cache_only(tmp_path, caplog):
    known = load_tokenizer(scratch_card(), lambda: TEXTS, tmp_path)[1]
    (tmp_path / "none").write_text("a file")
    assert load_tokenizer(scratch_card(), lambda: TEXTS, tmp_path / "none")[1] == known
    assert "goes on without this cache" in caplog.text


def test_no_texts(tmp_path):
    with pytest.raises(DataError, match="no training texts"):
        load_tokenizer(scratch_card(), lambda: [], tmp_path)


def test_offsets_point_into_the_original_string(tokenizer):
    rng = random.Random(1)
    pieces = [
        "the",
        "Cat",
        "(dog)",
        "U.S.",
        "naïve",
        "İzmir",
        "東京",
        "🙂",
        "  ",
        "\t",
        ",",
        "x\u0301",
    ]
    for _ in range(200):
        text = " ".join(rng.choice(pieces) for _ in range(8))
        encoded = tokenizer(text, return_offsets_mapping=True)
        inner = encoded["offset_mapping"][1:-1]
        last = (0, 0)
        covered = set()
        for start, end in inner:
            assert start >= last[1] or (start, end) == last  # bytes of one character share it
            assert start < end <= len(text)
            last = (start, end)
            covered |= set(range(start, end))
        assert {text[i] for i in set(range(len(text))) - covered} <= {" ", "\t"}
        assert tokenizer.unk_token_id not in encoded["input_ids"]


def test_a_word_has_the_same_tokens_everywhere(tokenizer):
    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    word = ids("dog")
    assert ids("DOG") == word
    assert ids("(dog)") == ids("( dog )") == [*ids("("), *word, *ids(")")]
    split = tokenizer(["(dog)", "ran"], is_split_into_words=True, add_special_tokens=False)
    assert split["input_ids"] == ids("(dog) ran")
    assert set(split.word_ids()) == {0, 1}


def test_special_tokens_and_pairs(tokenizer):
    names = ["pad", "unk", "cls", "sep", "mask"]
    assert [getattr(tokenizer, f"{n}_token_id") for n in names] == [0, 1, 2, 3, 4]
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (2, 3)
    pair = tokenizer("the cat", "a dog")
    ids, types = pair["input_ids"], pair["token_type_ids"]
    assert ids[0] == 2 and ids.count(3) == 2 and ids[-1] == 3
    split = ids.index(3) + 1
    assert types == [0] * split + [1] * (len(ids) - split)
    assert tokenizer.decode(ids, skip_special_tokens=True).split() == ["the", "cat", "a", "dog"]


def test_hash_covers_vocabulary_and_rules_but_not_the_last_call(tmp_path, tokenizer):
    _, first = load_tokenizer(scratch_card(), lambda: TEXTS, tmp_path)
    assert tokenizer_hash(tokenizer) == first
    tokenizer(["the cat"] * 2, truncation=True, max_length=3, padding="max_length")
    assert tokenizer_hash(tokenizer) == first
    cased = scratch_card().tokenizer.model_copy(update={"lowercase": False})
    card = scratch_card().model_copy(update={"tokenizer": cased})
    assert load_tokenizer(card, lambda: TEXTS, tmp_path)[1] != first
    assert load_tokenizer(scratch_card(), lambda: [*TEXTS, "zz zz"], tmp_path)[1] != first


def test_local_folder(folders, tokenizer, tmp_path):
    loaded, digest = load_tokenizer(local_card(folders("bert")), lambda: [], tmp_path)
    assert loaded("the cat")["input_ids"] == tokenizer("the cat")["input_ids"]
    assert len(digest) == 64
    assert not list(tmp_path.iterdir())


def test_folder_without_tokenizer(tmp_path):
    with pytest.raises(DataError, match="tokenizer") as error:
        load_tokenizer(local_card(tmp_path), lambda: [], tmp_path)
    assert "\n" not in str(error.value)


@needs_data
def test_minilm_tokenizer(tmp_path):

    from fednlp.cards import model_card

    card = model_card("minilm-l6-h384")
    loaded, digest = load_tokenizer(card, lambda: [], tmp_path)
    assert loaded.convert_ids_to_tokens(loaded("Hello World")["input_ids"]) == [
        "[CLS]",
        "hello",
        "world",
        "[SEP]",
    ]
    assert digest == load_tokenizer(card, lambda: [], tmp_path)[1]


def test_a_hub_tokenizer_without_network_is_one_line_at_once(monkeypatch, capfd):
    """Not a minute of retries with their log: the hub's client is told that it is offline."""
    asked = []

    def fail(*args, **kwargs):
        asked.append(args)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr("tasks.network.getproxies", dict)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    card = ModelCard(name="far", description="x", licence="x", tasks=["seq2seq"],
                     hub={"id": "nobody/nothing", "revision": "0" * 40})  # fmt: skip
    with pytest.raises(DataError, match=r"model far: tokenizer: .*connect to the network") as error:
        load_tokenizer(card, list, Path("unused"))
    assert "\n" not in str(error.value) and len(asked) == 1
    assert capfd.readouterr() == ("", "")
