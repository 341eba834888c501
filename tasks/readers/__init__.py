"""Readers of local files in their original formats; a card names one under `local.reader`."""

from __future__ import annotations

from tasks.readers.aeslc import AESLC
from tasks.readers.conll import CONLL
from tasks.readers.e2e_csv import E2E_CSV
from tasks.readers.movie_dialogs import MOVIE_DIALOGS
from tasks.readers.news_stories import NEWS_STORIES
from tasks.readers.newsgroups20 import NEWSGROUPS20
from tasks.readers.parallel_lines import PARALLEL_LINES
from tasks.readers.reader import Reader
from tasks.readers.squad_json import SQUAD_JSON

READERS: dict[str, Reader] = {
    "aeslc": AESLC,
    "conll": CONLL,
    "e2e_csv": E2E_CSV,
    "movie_dialogs": MOVIE_DIALOGS,
    "news_stories": NEWS_STORIES,
    "newsgroups20": NEWSGROUPS20,
    "parallel_lines": PARALLEL_LINES,
    "squad_json": SQUAD_JSON,
}
