"""The names on the page are those that trackers are fed with."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_pages import blocks, page, table
from rich.console import Console

from fednlp import config as configuration
from fednlp.results.reading import load_run
from fednlp.runs import run_pair
from fednlp.trackers.choice import NAMES
from fednlp.trackers.names import RoundMetrics, result_metrics

PAGE = "docs/trackers.md"


def test_names_are_those_of_a_run(clone: Path) -> None:
    config = configuration.build(
        {
            "dataset": {
                "name": "synthetic_topics",
                "sizes": {"train": 80, "validation": 20, "test": 40},
            },
            "model": "tiny",
            "partition": {"name": "uniform", "clients": 4},
            "sampling": {"clients_per_round": 2},
            "tokens": {"max_length": 48},
            "rounds": 1,
        },
        "test",
    )
    federated, central = run_pair(config, clone, Console(quiet=True))
    assert central is not None
    run = load_run(clone / federated.folder)
    names = RoundMetrics().of(run.rounds[0]) | result_metrics(run.result, {"matched": central})
    cells = " ".join(row["name"] for row in table(PAGE, "metrics"))
    patterns = [re.sub(r"<\w+>", r"[^/]+", name) for name in re.findall(r"`([^`]+)`", cells)]
    unknown = [n for n in names if not any(re.fullmatch(p, n) for p in patterns)]
    unused = [p for p in patterns if not any(re.fullmatch(p, n) for n in names)]
    assert not unknown and not unused


def test_every_tracker_is_on_the_page() -> None:
    assert all(f"| `{name}` |" in page(PAGE) and f".[{name}]" in page(PAGE) for name in NAMES)
    assert any("track runs/" in block.text for block in blocks(PAGE, "sh"))
