"""The comparison of methods as a table in the terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fednlp.results.escaping import csv_table, markdown, plain_row
from fednlp.results.method_comparison import Contest, Standing
from fednlp.results.wide_or_narrow import wide_or_narrow
from fednlp.shown import LONGEST, shown
from fednlp.statistics import Comparison, ExampleDifference
from fednlp.statistics.summary import Interval
from fednlp.statistics.words import p_value

NOTE = (
    "sd, intervals: of the gap over seeds. Test error: of the score over test examples. Pairs: "
    "test scores, positive where the first is better. Rank 1-3: any of these, no difference shown."
)
MOST_PAIRS = 10  # told one by one below a table
_COLUMNS = ("method", "seeds", "gap", "sd", "95 % t", "95 % BCa", "test error", "rank")


def worth_comparing(found: Sequence[Contest]) -> list[Contest]:
    """Those with more than one method and a method of more than one seed."""
    return [c for c in found if c.pairs and any(s.gap.seeds > 1 for s in c.standings)]


def cells(standing: Standing) -> list[str]:
    """The texts of one line, as `_COLUMNS` names them."""
    gap = standing.gap
    return [
        standing.line.method,
        str(gap.seeds),
        f"{gap.mean:+.3f}",
        "-" if gap.std is None else f"{gap.std:.3f}",
        interval(gap.t_interval),
        interval(gap.bootstrap_interval),
        f"{standing.test_stderr:.3f}",
        str(standing.rank),
    ]


def interval(ends: Interval | None) -> str:
    """For example `[+0.010, +0.052]`; `-` for none."""
    return "-" if ends is None else f"[{ends[0]:+.3f}, {ends[1]:+.3f}]"


def sentences(contest: Contest, spelt: Callable[[str], str] = shown) -> list[str]:
    """The pairs in words; of many pairs those in which a difference is shown, and how many not.

    spelt: how the names of methods are written, for a terminal unless told otherwise.
    """
    if len(contest.pairs) <= MOST_PAIRS:
        return [words(pair, spelt) for pair in contest.pairs]
    told = [words(pair, spelt) for pair in contest.pairs if pair.shown]
    rest = len(contest.pairs) - len(told)
    return [*told, f"no difference shown in {rest} of {len(contest.pairs)} pairs (--pairs)"]


def words(pair: Comparison, spelt: Callable[[str], str]) -> str:
    """The sentence of a pair with its names spelt by `spelt`."""
    return replace(pair, first=spelt(pair.first), second=spelt(pair.second)).words


def terminal(found: Sequence[Contest], width: int = 120) -> Group:
    """A table of standings and the pairs in words, per benchmark."""
    parts: list[RenderableType] = [Text("Methods compared on the same seeds", style="bold")]
    for contest in found:
        parts.append(Text(f"\n{shown(contest.benchmark)}"))
        rows = [cells(standing) for standing in contest.standings]
        parts += wide_or_narrow(_COLUMNS, rows, width)
        parts += [Text(f"- {told}") for told in sentences(contest)]
    parts.append(Text(f"\n{NOTE}", style="dim"))
    return Group(*parts)


def as_markdown(found: Sequence[Contest]) -> str:
    """The standings as one Markdown table, the pairs in words as a list."""
    lines = ["| benchmark | " + " | ".join(_COLUMNS) + " |"]
    lines.append("|" + " --- |" * (len(_COLUMNS) + 1))
    for contest in found:
        head = markdown(contest.benchmark, LONGEST)
        for standing in contest.standings:
            method, *numbers = cells(standing)
            lines.append("| " + " | ".join([head, markdown(method), *numbers]) + " |")
    for contest in found:
        told = sentences(contest, markdown)
        lines += [f"\n{markdown(contest.benchmark, LONGEST)}:\n", *(f"- {each}" for each in told)]
    return "\n".join([*lines, "", NOTE]) + "\n"


def standing_rows(found: Sequence[Contest]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What the rows of the gap table gain, by task, benchmark and method."""
    return {
        (contest.task, contest.benchmark, standing.line.method): standing.as_row()
        for contest in found
        for standing in contest.standings
    }


def pair_row(
    contest: Contest, pair: Comparison, examples: ExampleDifference | None
) -> dict[str, Any]:
    """One pair as flat plain data, for CSV and JSON; examples: over the test, if it was made."""
    row: dict[str, Any] = {
        "task": contest.task,
        "benchmark": contest.benchmark,
        "metric": contest.metric,
        "first": pair.first,
        "second": pair.second,
        "seeds": " ".join(map(str, pair.seeds)),
    }
    own = pair.difference
    row["difference"], row["std"] = (own.mean, own.std) if own else (None, None)
    for name in ("t", "bootstrap"):
        ends = getattr(own, f"{name}_interval", None) or (None, None)
        row[f"{name}_low"], row[f"{name}_high"] = ends
    row |= {"t_p": pair.t_p, "wilcoxon_p": pair.wilcoxon_p, "family": pair.family}
    row |= {"better": pair.better, "words": pair.words}
    for name in ("seeds", "low", "high"):
        row[f"needed_{name}"] = getattr(pair.needed, name, None)
    row["examples"] = examples.examples if examples else None
    row["examples_stderr"] = examples.stderr if examples else None
    row["examples_low"], row["examples_high"] = (examples and examples.interval) or (None, None)
    row["examples_p"] = examples.p if examples else None
    return row


def example_words(examples: ExampleDifference) -> str:
    """The paired bootstrap over test examples, told below the pair that it is of."""
    what = f"over {examples.examples} test examples, the models as they are"
    if examples.interval is None:
        return f"{what}: {examples.difference:+.3f}, no interval"
    ends = interval(examples.interval)
    return f"{what}: {examples.difference:+.3f} {ends} ({p_value('bootstrap', examples.p)})"


def pairs_text(
    found: Sequence[tuple[Contest, Comparison, ExampleDifference | None]], form: str
) -> str:
    """All pairs as `table` or `markdown` (sentences), `csv` or `json`."""
    rows = [plain_row(pair_row(*each)) for each in found]
    if form == "json":
        return json.dumps(rows, indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return csv_table(rows)
    lines: list[str] = []
    spelt = markdown if form == "markdown" else shown
    for contest, pair, examples in found:
        head = f"{spelt(contest.benchmark, LONGEST)}:"
        if head not in lines:
            lines += [*([""] if lines else []), head, ""]
        lines.append(f"- {words(pair, spelt)}")
        if examples:
            lines.append(f"  - {example_words(examples)}")
    return "\n".join(lines) + "\n"
