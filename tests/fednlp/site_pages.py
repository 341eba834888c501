"""A small leaderboard: the runs that it is made from, and its pages as tags and text."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from benchmarks.synthetic_runs import Made, write_pair
from fednlp.results.schema import Result

BASE = Made(rounds=5)


def two_methods(folder):
    """Two methods on two tasks, two seeds."""
    folder.mkdir()
    for task in ("text_classification", "sequence_tagging"):
        for seed in (0, 1):
            write_pair(folder, replace(BASE, task=task, seed=seed, method="FedAvg", quality=0.8))
            write_pair(folder, replace(BASE, task=task, seed=seed, method="FedProx", quality=0.4))
    return folder


def forged(path, **changes):
    """The folder with another result, its checksum made again."""
    file = path / "result.json"
    result = Result.model_validate_json(file.read_text())
    file.write_bytes(result.model_copy(update=changes).as_json())


class Tags(HTMLParser):
    """Tags, attributes and text of a page; raises where a tag is not closed."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def pages(site):
    return {str(p.relative_to(site)): Tags(p.read_text()) for p in sorted(site.rglob("*.html"))}
