"""The committed leaderboard is what the committed runs give."""

from __future__ import annotations

from pathlib import Path

import pytest

from fednlp.leaderboard.build import build

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = {".fednlp-leaderboard.json", ".fednlp-cache.sqlite"}  # of whoever builds it again


def pages(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in HIDDEN)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_it_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    board = build([Path("results/quick.zip")], tmp_path / "site").board
    assert not board.problems and len(board.runs) == 28
    made, committed = pages(tmp_path / "site"), pages(ROOT / "docs" / "leaderboard")
    assert made.keys() == committed.keys()
    assert [name for name in made if made[name] != committed[name]] == []
