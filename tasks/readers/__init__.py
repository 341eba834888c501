"""Readers of local files in their original formats; a card names one under `local.reader`."""

from __future__ import annotations

from tasks.readers.conll import CONLL
from tasks.readers.e2e_csv import E2E_CSV
from tasks.readers.gold_conll import GOLD_CONLL
from tasks.readers.newsgroups20 import NEWSGROUPS20
from tasks.readers.reader import Reader
from tasks.readers.squad_json import SQUAD_JSON
from tasks.readers.wikiner import WIKINER

READERS: dict[str, Reader] = {
    "conll": CONLL,
    "e2e_csv": E2E_CSV,
    "gold_conll": GOLD_CONLL,
    "newsgroups20": NEWSGROUPS20,
    "squad_json": SQUAD_JSON,
    "wikiner": WIKINER,
}
