"""The columns and dtypes on the page are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_pages import code, table

from fednlp.results import load

PAGE = "docs/pandas.md"


@pytest.mark.parametrize("name", ["runs", "rounds", "clients"])
def test_columns_and_dtypes(name: str, tmp_path: Path) -> None:
    frame = getattr(load(tmp_path), name)
    groups = ("costs.", "clients.", "test.", "validation.", "last_test.", "setting.")
    found = {n: str(d) for n, d in frame.dtypes.items() if not n.startswith(groups)}
    rows = {
        code(r["column"]): code(r["dtype"]) for r in table(PAGE, name) if "*" not in r["column"]
    }
    assert rows == found and list(rows) == list(found)
    if name == "runs":
        named = " ".join(row["column"] for row in table(PAGE, name))
        assert all(f"`{group}*`" in named for group in groups)
