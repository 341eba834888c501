"""The page on verification names every check, and the limits that the code has."""

from __future__ import annotations

from typing import get_args

from markdown_pages import code, page, table
from rich.console import Console

from fednlp import config as configuration
from fednlp.runs import run_pair
from fednlp.submissions import layout
from fednlp.verification import tolerance
from fednlp.verification.verify import Verdict, verify

PAGE = "docs/verification.md"


def test_every_check_is_named(clone):
    data = {
        "dataset": "synthetic_topics",
        "model": "tiny",
        "partition": {"name": "uniform", "clients": 4},
        "algorithm": "ditto",  # whose clients have weights of their own
        "sampling": {"clients_per_round": 2},
        "tokens": {"max_length": 48},
        "evaluation": {"min_client_examples": 5},
        "rounds": 1,
    }  # fmt: skip
    configuration.override(data, "dataset.sizes", {"train": 80, "validation": 20, "test": 40})
    federated, _ = run_pair(configuration.build(data, "test"), clone, Console(quiet=True))
    report, _ = verify(clone / federated.folder, 1, 0)
    names = [check.name for check in [*report.checks, *report.scores]]
    assert sorted([*names, "replay of ..."]) == sorted(
        code(r["check"]) for r in table(PAGE, "checks")
    )
    text = page(PAGE)
    assert all(f"- `{verdict}`:" in text for verdict in get_args(Verdict))
    assert all(check.name.startswith("replay of ") for check in report.replays)


def test_limits_are_those_of_the_code():
    text = " ".join(page(PAGE).split())
    assert f"{layout.MOST_FILES:,} files" in text and layout.RATIO == 100
    assert layout.LARGEST_OTHER == 256 * 2**20 and layout.TOTAL == 2 * 2**30
    assert f"{tolerance.METRICS} apart" in text and f"{tolerance.LOSS:.0%}".rstrip("%") in text
    assert f"{tolerance.WEIGHTS:.0%}".rstrip("%") + " % of the way" in text
    assert f"{tolerance.DRAWN:.0%}".rstrip("%") + " % of the way" in text
