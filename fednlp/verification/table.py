"""A report of `verify` in the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from fednlp.verification.verify import Report

_STYLES = {
    "passed": "green", "within tolerance": "yellow", "failed": "red", "not possible": "yellow",
}  # fmt: skip
_VERDICTS = {
    "verified": (
        "nothing contradicts it; the replayed rounds have the same bits, and the scores are those "
        "of the weights"
    ),
    "verified within the tolerance": (
        "nothing contradicts it; replayed rounds and scores come near, but not to the bit, since "
        "it says that it was made elsewhere"
    ),
    "consistent": "nothing contradicts it; no round was to be replayed",
    "scores not verified": (
        "nothing contradicts it, and the replayed rounds came out the same, but not all test "
        "scores could be computed again"
    ),
    "not verified": "nothing contradicts it, but not every replay was possible",
    "failed": "it is not what it says",
}


def report_table(report: Report) -> Table:
    """One line per check; a cause that stops several is told once, by the first of them."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("check", "outcome", "detail"):
        table.add_column(name, overflow="fold")
    first: dict[str, str] = {}  # cause -> the check that tells it
    for check in report.every:
        detail = check.detail
        if not check.holds and detail and first.setdefault(detail, check.name) != check.name:
            detail = f"as {first[detail]}"
        outcome = Text(check.outcome, style=_STYLES[check.outcome])
        table.add_row(Text(check.name), outcome, Text(detail))
    return table


def verdict(report: Report) -> str:
    """The last line: what the checks come to, what could not be checked, and how to draw the same
    rounds again.
    """
    words = f"{report.folder}: {report.verdict}: {_VERDICTS[report.verdict]}"
    missing = [check.name for check in report.every if check.outcome == "not possible"]
    if missing and report.verdict != "failed":
        words += f"; not checked: {', '.join(missing)}"
    if report.rounds > report.of > 0:
        words += f"; the run has {report.of} rounds, so all of them were to be replayed"
    return f"{words} (--seed {report.seed})" if report.rounds else words
