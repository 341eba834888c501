"""From text columns to ragged token ids, with a fast tokenizer and without padding or cutting.

Works on a private copy of the tokenizer: a stored truncation or padding state (many published
`tokenizer.json` files carry one) has no effect, and the caller's tokenizer is left as it was. Text
that spells a special token stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.errors import DataError
from tasks.ragged import Part, Ragged, side_by_side

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

_CHUNK = 1024  # texts per call: bounds the memory of the library's own objects
_CHARACTERS = 8  # per token that is kept, read at first; a text of longer words is read whole
_MARGIN = 16  # tokens before the cut that are not trusted, whatever a normalizer does at an end
_BETWEEN_WORDS = re.compile("(?<=[0-9A-Za-z]) (?=[0-9A-Za-z])")


class TextEncoder:
    """A tokenizer's ids for whole columns, and the special tokens that it puts around texts.

    Attributes:
        prefix, suffix: special ids before and after a single text.
        pair: special ids before the first text, between, and after the second text.
        segments: whether the tokenizer marks the second text of a pair with token type 1.
        pad_id, unknown_id, end_id: `end_id` is the last token of a text.

    Raises:
        DataError: the tokenizer is slow, or has neither a template with special tokens nor an
            end-of-text token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise DataError("tokenizer", type(tokenizer).__name__, "a fast tokenizer")
        self.backend = _plain_copy(tokenizer.backend_tokenizer)
        end = tokenizer.sep_token_id if tokenizer.eos_token_id is None else tokenizer.eos_token_id
        _, self.prefix, self.suffix = _special_ids(self.backend.encode("a"))
        pair = self.backend.encode("a", "a")
        self.pair = _special_ids(pair)
        if not self.suffix:
            if end is None:
                fix = "give the tokenizer an eos_token"
                raise DataError("tokenizer", "no token that ends a text", "eos_token or [SEP]", fix)
            self.suffix, self.pair = [end], (self.pair[0], [end], [end])
        self.end_id: int = self.suffix[-1]
        self.segments = "token_type_ids" in tokenizer.model_input_names and 1 in pair.type_ids
        pad, unknown = tokenizer.pad_token_id, tokenizer.unk_token_id
        self.pad_id: int = self.end_id if pad is None else pad
        self.unknown_id: int = self.end_id if unknown is None else unknown

    def texts(self, texts: Sequence[str]) -> Ragged:
        """Token ids of every text, no special tokens."""
        return Ragged.of(e.ids for e in self._encode(self.backend.encode_batch_fast, texts))

    def rows(self, texts: Sequence[str], max_length: int) -> Ragged:
        """Token ids of every text between prefix and suffix, the text cut to fit `max_length`."""
        room = max_length - len(self.prefix) - len(self.suffix)
        ids = self._openings(texts, room)
        head, tail = (Part.constant(part, len(ids)) for part in (self.prefix, self.suffix))
        return side_by_side([head, Part.heads(ids, room), tail])

    def texts_with_places(self, texts: Sequence[str]) -> tuple[Ragged, np.ndarray, np.ndarray]:
        """Token ids, and per token the characters [start, end) of its text: [T] int32 each."""
        ids, places = [], []
        for encoding in self._encode(self.backend.encode_batch, texts):
            ids.append(encoding.ids)
            places.append(np.array(encoding.offsets, np.int32).reshape(-1, 2))
        flat = np.concatenate([np.empty((0, 2), np.int32), *places])
        return Ragged.of(ids), flat[:, 0].copy(), flat[:, 1].copy()

    def words(self, words: Sequence[str]) -> Ragged:
        """Token ids of every word as it stands inside a sentence; never an empty list.

        A word that the tokenizer drops (a control character, say) becomes one unknown token.
        """
        backend = _plain_copy(self.backend)
        if getattr(backend.pre_tokenizer, "add_prefix_space", None) is False:
            # Byte-level tokenizers mark a word by the space before it, which a list has lost.
            backend.pre_tokenizer.add_prefix_space = True

        def encode(chunk: Sequence[str], add_special_tokens: bool) -> list[Any]:
            lists = [[word] for word in chunk]
            return backend.encode_batch_fast(
                lists, is_pretokenized=True, add_special_tokens=add_special_tokens
            )

        return Ragged.of(e.ids or [self.unknown_id] for e in self._encode(encode, words))

    def _openings(self, texts: Sequence[str], room: int) -> Ragged:
        """Token ids whose first `room` per text are those of the whole text.

        Few texts need to be read to their end for that: where a tokenizer works word by word, the
        tokens of a text cut between two words are the first ones of the whole text.
        """
        if not self._by_words:
            return self.texts(texts)
        enough = room + _MARGIN
        read = [_opening(text, _CHARACTERS * enough) for text in texts]
        ids = [e.ids for e in self._encode(self.backend.encode_batch_fast, read)]
        short = [k for k, own in enumerate(ids) if len(own) < enough and read[k] is not texts[k]]
        whole = self._encode(self.backend.encode_batch_fast, [texts[k] for k in short])
        for k, encoding in zip(short, whole, strict=True):
            ids[k] = encoding.ids
        return Ragged.of(ids)

    @cached_property
    def _by_words(self) -> bool:
        """Whether no token reaches over a space between two words."""
        backend = self.backend
        if backend.pre_tokenizer is None:
            return False
        words = "a b" if backend.normalizer is None else backend.normalizer.normalize_str("a b")
        added = backend.get_added_tokens_decoder().values()
        apart = len(backend.pre_tokenizer.pre_tokenize_str(words)) > 1
        return apart and not any(" " in token.content for token in added)

    def _encode(self, encode: Any, texts: Sequence[str]) -> Iterator[Any]:
        for begin in range(0, len(texts), _CHUNK):
            yield from encode(texts[begin : begin + _CHUNK], add_special_tokens=False)


def _opening(text: str, least: int) -> str:
    """The text up to the first end of a word after `least` characters, or all of it."""
    end = _BETWEEN_WORDS.search(text, least)
    return text if end is None else text[: end.start()]


def _plain_copy(backend: Tokenizer) -> Tokenizer:
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    return copy


def _special_ids(encoding: Any) -> tuple[list[int], list[int], list[int]]:
    """Special ids before, between and after the texts; of a single text: [], before, after."""
    parts: list[list[int]] = [[]]
    inside: int | None = None
    for token, sequence in zip(encoding.ids, encoding.sequence_ids, strict=True):
        if sequence is None:
            parts[-1].append(token)
        elif sequence != inside:
            inside = sequence
            parts.append([])
    if len(parts) == 2:
        parts.insert(0, [])
    if len(parts) != 3:
        raise DataError("tokenizer", 'the letter "a" has no token', "a tokenizer of texts")
    return parts[0], parts[1], parts[2]
