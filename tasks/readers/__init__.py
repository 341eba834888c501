"""Readers of local files in their original formats; a card names one under `local.reader`."""

from __future__ import annotations

from tasks.readers.conll import CONLL
from tasks.readers.e2e_csv import E2E_CSV
from tasks.readers.mrqa_jsonl import MRQA_JSONL
from tasks.readers.newsgroups20 import NEWSGROUPS20
from tasks.readers.qamr import QAMR
from tasks.readers.reader import Reader
from tasks.readers.squad_json import SQUAD_JSON

READERS: dict[str, Reader] = {
    "conll": CONLL,
    "e2e_csv": E2E_CSV,
    "mrqa_jsonl": MRQA_JSONL,
    "newsgroups20": NEWSGROUPS20,
    "qamr": QAMR,
    "squad_json": SQUAD_JSON,
}
