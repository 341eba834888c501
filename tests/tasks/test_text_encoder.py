"""Rows that are cut are read only as far as they need to be: the same tokens as of whole texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.trainers import BpeTrainer, UnigramTrainer, WordPieceTrainer
from transformers import PreTrainedTokenizerFast

from tasks.ragged import Part, side_by_side
from tasks.text_encoder import TextEncoder

SPECIAL = ["[UNK]", "[PAD]", "[CLS]", "[SEP]"]
TEXTS = [
    "the cat sat on the mat",
    "a byte, a word: (and) a pair's end",
    "ΟΔΟΣ naïve 中文 été 12 3.5",
]


def wordpiece():
    backend = Tokenizer(WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator(TEXTS, WordPieceTrainer(vocab_size=90, special_tokens=SPECIAL))
    return backend


def byte_level():
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet)
    backend.train_from_iterator(TEXTS, trainer)
    return backend


def unigram():
    backend = Tokenizer(Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = UnigramTrainer(vocab_size=60, special_tokens=SPECIAL, unk_token="[UNK]")
    backend.train_from_iterator(TEXTS * 5, trainer)
    return backend


def across_words():
    """As of Llama: the space is a letter like any other."""
    backend = Tokenizer(BPE(unk_token="[UNK]"))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.train_from_iterator(["the the the " * 9], BpeTrainer(special_tokens=SPECIAL))
    return backend


def added_phrase():
    backend = wordpiece()
    backend.add_tokens([AddedToken("on the mat the cat sat on the mat the cat")])
    return backend


BY_WORDS = [wordpiece, byte_level, unigram]
OTHERS = [across_words, added_phrase]


def encoder(backend):
    pair = [(name, backend.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=pair
    )
    return TextEncoder(
        PreTrainedTokenizerFast(
            tokenizer_object=backend, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
        )
    )


ENCODERS = {kind.__name__: encoder(kind()) for kind in BY_WORDS + OTHERS}
pieces = st.sampled_from(
    ["the", "cat", " ", " ", "  ", "\n", "mat", "x" * 700, "naïve", "ΟΔΟΣ", "中文", "'s", "on",
     ", ", "12", "3.5", "é", "\u0301", "[SEP]", "\x00", "ﬁ", "a b c d e f ", "the cat sat " * 40]
)  # fmt: skip


def read_whole(encoder, texts, max_length):
    ids = encoder.texts(texts)
    head, tail = (Part.constant(p, len(ids)) for p in (encoder.prefix, encoder.suffix))
    return side_by_side([head, Part.heads(ids, max_length - 2), tail])


@pytest.mark.parametrize("name", ENCODERS)
@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.lists(pieces, max_size=40).map("".join), max_size=4))
def test_rows_are_those_of_whole_texts(name, texts):
    for max_length in (3, 12, 40):
        found = ENCODERS[name].rows(texts, max_length)
        expected = read_whole(ENCODERS[name], texts, max_length)
        assert np.array_equal(found.offsets, expected.offsets)
        assert np.array_equal(found.values, expected.values)


def characters_read(name, text, monkeypatch):
    read = []

    class Counting:
        def __init__(self, backend):
            self.backend = backend

        def __getattr__(self, key):
            return getattr(self.backend, key)

        def encode_batch_fast(self, texts, **options):
            read.extend(texts)
            return self.backend.encode_batch_fast(texts, **options)

    monkeypatch.setattr(ENCODERS[name], "backend", Counting(ENCODERS[name].backend))
    ENCODERS[name].rows([text], 12)
    return sum(map(len, read))


@pytest.mark.parametrize("kind", BY_WORDS)
def test_a_long_text_is_read_in_part(kind, monkeypatch):
    assert characters_read(kind.__name__, "the cat sat " * 1000, monkeypatch) < 500


@pytest.mark.parametrize("kind", OTHERS)
def test_a_tokenizer_across_words_reads_all(kind, monkeypatch):
    text = "the cat sat " * 1000
    assert characters_read(kind.__name__, text, monkeypatch) == len(text)
