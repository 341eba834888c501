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
        "of their weights"
    ),
    "verified within the tolerance": (
        "nothing contradicts it; replayed rounds and scores come near, but not to the bit, since "
        "it says that it was made elsewhere"
    ),
    "consistent": "nothing contradicts it; no round was to be replayed",
    "scores not verified": (
        "nothing contradicts it, and the replayed rounds came out the same, but the weights whose "
        "scores count were not all reached from the initial weights and scored"
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
    """The last line: what the checks come to, which rounds were trained again, what could not be
    checked, and how to draw the same rounds again.
    """
    words = f"{report.folder}: {report.verdict}: {_VERDICTS[report.verdict]}"
    if report.coverage is not None and report.verdict not in ("failed", "not verified"):
        words += f"; {report.coverage.words()}"
    if report.not_possible and report.verdict != "failed":
        words += f"; not possible here: {', '.join(check.name for check in report.not_possible)}"
    drawn = report.coverage is not None and not report.coverage.whole
    return f"{words} (--seed {report.seed})" if drawn else words
