"""docs/your-data.md: its Parquet file holds what its JSON lines hold.

The rest of the page is worked through by test_documented_commands.py.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from markdown_pages import blocks

from tasks.data import load_corpus
from tasks.dataset_card import DatasetCard


def test_parquet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = {block.name: block.text for block in blocks("docs/your-data.md") if block.name}
    Path("names.jsonl").write_text(page["names.jsonl"], encoding="utf-8")
    exec(compile(page["to_parquet.py"], "to_parquet.py", "exec"), {})
    fingerprints = set()
    for file in ("names.jsonl", "names.parquet"):
        text = page["names.yaml"].replace("names.jsonl", file)
        assert file in text
        card = DatasetCard.parse(yaml.safe_load(text), "names.yaml", tmp_path)
        corpus = load_corpus(card, data_root=None, cache_dir=tmp_path / "cache")
        assert len(corpus.splits["train"]) + len(corpus.splits["validation"]) == 6
        fingerprints.add(corpus.fingerprint)
    assert len(fingerprints) == 1
