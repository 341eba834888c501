"""From run folders to a site, in one pass; what has not changed is not made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fednlp.errors import UserError
from fednlp.leaderboard.board import Board, make_board
from fednlp.leaderboard.cache import NAME, Cache
from fednlp.leaderboard.collect import collect
from fednlp.leaderboard.digest import BoardRun
from fednlp.leaderboard.downloads import FORMS
from fednlp.leaderboard.example_pairs import with_example_pairs
from fednlp.leaderboard.pages import Pages
from fednlp.leaderboard.site import Site
from fednlp.leaderboard.sources import distinct

HERE = Path(__file__).parent
ASSETS = ("leaderboard.css", "leaderboard.js")


@dataclass(frozen=True)
class Built:
    """index: the first page. read: folders that were not known. written, kept, removed: files."""

    board: Board
    index: Path
    read: int
    written: int
    kept: int
    removed: int


def board_of(sources: Sequence[Path]) -> Board:
    """The leaderboard without a site.

    Raises:
        UserError: there is no such source.
    """
    board = make_board(collect(distinct(sources), Cache(None)))
    _require_runs(board, sources)
    return board


def build(sources: Sequence[Path], out: Path) -> Built:
    """Writes the site of all runs in `sources` to the folder `out`.

    Raises:
        UserError: there is no such source, or `out` is not ours or cannot be written.
    """
    given = distinct(sources)
    site = Site(out)
    cache = Cache(out / NAME)
    collected = collect(given, cache)
    board = make_board(collected)
    try:
        _require_runs(board, sources)
    except UserError:
        site.discard(NAME)
        raise
    board = with_example_pairs(board, cache)
    pages = Pages(board, _version())
    for name in ASSETS:
        site.write(f"assets/{name}", (HERE / "assets" / name).read_text(encoding="utf-8"))
    for form, make in FORMS.items():
        site.write(f"data/all.{form}", make(board.benchmarks))
    for benchmark in board.benchmarks:
        site.write(pages.links.benchmark(benchmark), pages.benchmark(benchmark))
        for form, make in FORMS.items():
            site.write(f"data/{benchmark.key}.{form}", make([benchmark]))
    for run in _all_runs(board):
        _run_page(site, pages, run)
    site.write("index.html", pages.overview())
    removed = site.finish()
    return Built(board, out / "index.html", collected.read, site.written, site.kept, removed)


def _require_runs(board: Board, sources: Sequence[Path]) -> None:
    if not board.runs and not board.conflicts:
        where = ", ".join(map(str, sources))
        told = "".join(f"; skipped: {problem}" for problem in board.problems[:3])
        raise UserError(where, f"holds no finished run{told}", fix="run one first")


def _run_page(site: Site, pages: Pages, run: BoardRun) -> None:
    """The page and configuration of a run, unless they stand there made from the same."""
    name, needed = pages.links.name(run), _needed(pages, run)
    if run.config:
        site.write_once(f"run/{name}.yaml", needed, lambda: run.config)
    site.write_once(pages.links.run(run), needed, lambda: pages.run(run))


def _needed(pages: Pages, run: BoardRun) -> str:
    """Hash of all that the page of a run is made from."""
    found = pages.links.found_in(run)
    around = [f"{b.key} {line.key} {[r.key for r in line.runs]}" for b, line in found]
    here = [r.key for r in pages.references(run)]
    twin, said = pages.links.is_in_conflict(run), run.submission_note
    return hashlib.sha256(
        f"{_program()} {run.key} {run.source} {around} {here} {twin} {said}".encode()
    ).hexdigest()[:16]


def _all_runs(board: Board) -> Iterator[BoardRun]:
    yield from board.runs
    for conflict in board.conflicts:
        yield from conflict.runs


@lru_cache
def _program() -> str:
    """Hash of this package: other code makes other pages."""
    files = sorted([*HERE.glob("*.py"), *HERE.glob("templates/*"), *HERE.glob("assets/*")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _version() -> str:
    try:
        return version("fednlp-bench")
    except PackageNotFoundError:
        return ""
