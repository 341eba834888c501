"""Tokenizers: the one beside the pretrained weights, or a BPE trained on the training texts.

The trained one is a byte-level byte-pair encoding over words and punctuation marks. Byte-level: no
character is unknown, and nothing depends on the order of an alphabet, so equal texts give equal
bytes in every process (WordPiece training numbers its continuation symbols in hash order and does
not). Splitting at punctuation first: a word has the same tokens in "(word)" and in " word ". Every
word starts with the marker of a space; offsets always point into the original string.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.cache_warning import not_cached
from tasks.errors import DataError
from tasks.library_errors import told
from tasks.model_card import ModelCard, TokenizerSettings
from tasks.model_folder import check_before_reading
from tasks.network import quiet_download, surely_offline

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_VERSION = 1  # raise it when the same texts and settings would give another tokenizer


def load_tokenizer(
    card: ModelCard,
    texts: Callable[[], Iterable[str]],
    cache_dir: Path,
    *,
    data_root: Path | None = None,
) -> tuple[PreTrainedTokenizerFast, str]:
    """Returns the card's tokenizer and the SHA-256 of all that decides its output.

    Args:
        texts: gives the training texts, afresh at every call; read only to train a BPE.
        cache_dir: trained tokenizers are kept here under the hash of texts and settings.
        data_root: where relative local paths start; default FEDNLP_DATA.

    Raises:
        DataError: no such folder, no fast tokenizer in it, or no text to train on.
    """
    if card.scratch is not None:
        tokenizer = _wrap(_trained(card.tokenizer, texts, cache_dir), card.scratch.max_positions)
    else:
        tokenizer = _pretrained(card, data_root)
    return tokenizer, tokenizer_hash(tokenizer)


def tokenizer_hash(tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 over the serialised tokenizer (vocabulary, merges, rules) and its special tokens."""
    special = {name: str(token) for name, token in sorted(tokenizer.special_tokens_map.items())}
    settings = {"special": special, "inputs": list(tokenizer.model_input_names)}
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # Set per call by whoever encodes, and left behind in the object: no part of its identity.
    backend["truncation"] = backend["padding"] = None
    content = json.dumps([backend, settings], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _pretrained(card: ModelCard, data_root: Path | None) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    where = f"model {card.name}: tokenizer"
    options: dict[str, Any] = {"use_fast": True, "trust_remote_code": False}
    if card.local is not None:
        folder = card.local.folder(data_root)
        check_before_reading(folder, f"model {card.name}: {folder}", "copy the model again")
        source = str(folder)
        options["local_files_only"] = True
        fix = "put tokenizer.json into the folder"
    else:
        assert card.hub is not None
        source, options["revision"] = card.hub.id, card.hub.revision
        options["local_files_only"] = surely_offline()  # what was downloaded before still serves
        fix = "connect to the network once, or use a local folder"
    with told(where, "a fast tokenizer", fix), quiet_download():
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    if not tokenizer.is_fast:
        raise DataError(where, "a slow tokenizer without offsets", "a fast tokenizer", fix)
    if tokenizer.pad_token_id is None:
        raise DataError(where, "no padding token", "a pad_token", fix)
    with told(where, "a tokenizer that reads any text", fix):
        tokenizer("a probe, \U0001f40d \u4e2d \u0007", "and a second")
    return tokenizer


def _trained(
    settings: TokenizerSettings, texts: Callable[[], Iterable[str]], cache_dir: Path
) -> Tokenizer:
    from tokenizers import Tokenizer

    path = Path(cache_dir) / "tokenizers" / f"{_training_hash(settings, texts())}.json"
    if os.path.isfile(path):  # one that cannot be looked at is none
        try:
            return Tokenizer.from_file(str(path))
        except Exception:  # tokenizers raises bare Exception
            pass  # damaged: trained again
    tokenizer = train_bpe(texts(), settings)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(tokenizer.to_str(), encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        not_cached(path.parent, error)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return tokenizer


def _training_hash(settings: TokenizerSettings, texts: Iterable[str]) -> str:
    content = hashlib.sha256(json.dumps([_VERSION, settings.model_dump()]).encode())
    count = 0
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        content.update(len(data).to_bytes(8, "little"))
        content.update(data)
        count += 1
    if count == 0:
        raise DataError("tokenizer", "no training texts", "at least one text to train on")
    return content.hexdigest()


def train_bpe(texts: Iterable[str], settings: TokenizerSettings) -> Tokenizer:
    """Trains a byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909) of `settings.vocab_size`.

    The result has fewer entries when the texts have fewer pairs that occur `min_frequency` times.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from tokenizers.processors import TemplateProcessing

    assert settings.vocab_size is not None
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=True,
        strip_accents=False,
        lowercase=settings.lowercase,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.BertPreTokenizer(),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        iter(texts),
        trainers.BpeTrainer(
            vocab_size=settings.vocab_size,
            min_frequency=settings.min_frequency,
            special_tokens=_SPECIAL,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, _SPECIAL.index(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _wrap(tokenizer: Tokenizer, max_positions: int) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        bos_token="[CLS]",  # a decoder starts with [CLS] and ends with [SEP]
        eos_token="[SEP]",
        model_max_length=max_positions,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
