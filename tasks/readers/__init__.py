"""Readers of local files in their original formats; a card names one under `local.reader`."""

from __future__ import annotations

from tasks.readers.ag_news import AG_NEWS
from tasks.readers.conll import CONLL
from tasks.readers.e2e_csv import E2E_CSV
from tasks.readers.gold_conll import GOLD_CONLL
from tasks.readers.newsgroups20 import NEWSGROUPS20
from tasks.readers.reader import Reader
from tasks.readers.semeval2010_task8 import SEMEVAL2010_TASK8
from tasks.readers.sentiment140 import SENTIMENT140
from tasks.readers.squad_json import SQUAD_JSON
from tasks.readers.sst2 import SST2
from tasks.readers.table import TABLE
from tasks.readers.wikiner import WIKINER

READERS: dict[str, Reader] = {
    "ag_news": AG_NEWS,
    "conll": CONLL,
    "e2e_csv": E2E_CSV,
    "gold_conll": GOLD_CONLL,
    "newsgroups20": NEWSGROUPS20,
    "semeval2010_task8": SEMEVAL2010_TASK8,
    "sentiment140": SENTIMENT140,
    "squad_json": SQUAD_JSON,
    "sst2": SST2,
    "table": TABLE,
    "wikiner": WIKINER,
}
