"""A report of `verify` in the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from fednlp.verification.verify import Report

_STYLES = {"passed": "green", "failed": "red", "not possible": "yellow"}
_VERDICTS = {
    "verified": "verified: nothing contradicts it, and the replayed rounds came out the same",
    "consistent": "consistent: nothing contradicts it; no round was to be replayed",
    "not verified": "not verified: nothing contradicts it, but not every replay was possible",
    "failed": "failed: it is not what it says",
}


def report_table(report: Report) -> Table:
    """One line per check."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("check", "outcome", "detail"):
        table.add_column(name, overflow="fold")
    before = ""
    for check in [*report.checks, *report.replays]:
        reason = check.detail if check.outcome == "not possible" else ""
        again, before = bool(reason) and reason == before, reason or before
        outcome = Text(check.outcome, style=_STYLES[check.outcome])
        table.add_row(Text(check.name), outcome, Text("as above" if again else check.detail))
    return table


def verdict(report: Report) -> str:
    """The last line: what the checks come to, and how to draw the same rounds again."""
    words = f"{report.folder}: {_VERDICTS[report.verdict]}"
    return f"{words} (--seed {report.seed})" if report.rounds else words
