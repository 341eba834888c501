"""The gap as a table in the terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fednlp.results import comparison_tables
from fednlp.results.escaping import csv_table, markdown, plain_row
from fednlp.results.floor import FLOOR_NOTE, marked
from fednlp.results.gap import Gap
from fednlp.results.method_comparison import contests
from fednlp.results.tuning import search_notes
from fednlp.results.wide_or_narrow import wide_or_narrow
from fednlp.shown import LONGEST, shown
from tasks.unseen_labels import shortened, unseen_labels

if TYPE_CHECKING:
    import numpy as np

    from fednlp.plan import Plan
    from tasks.data import Corpus

LONGEST_NOTE = 1000  # characters
# the last: rounds until 90, 95 and 99 % of centralized
_COLUMNS = (
    "method",
    "seeds",
    "federated",
    "gap, 95 % interval",
    "relative",
    "last",
    "sent",
    "90/95/99 %",
)


def reference(gap: Gap) -> str:
    """The centralized score and the floor of one block."""
    steps = f"{gap.steps[0]:.0f} steps, federated {gap.steps[1]:.0f}"
    central = f"centralized {gap.centralized:.3f} ({gap.budget}, {steps})"
    return f"{gap.metric}: {central}; floor {gap.floor:.3f}"


def cells(gap: Gap) -> list[str]:
    """The texts of one line, as `_COLUMNS` names them."""
    reached = "/".join(str(r[0]) if r else "-" for r in gap.to_share.values())
    return [
        gap.method,
        str(len(gap.seeds)),
        marked(f"{gap.federated:.3f}", gap.below_floor),
        str(gap.gap),
        f"{gap.relative.mean:+.0%}" if gap.relative else "-",
        f"{gap.last.mean:+.3f}",
        human_bytes(gap.bytes),
        reached,
    ]


def terminal(gaps: list[Gap], width: int = 120) -> Group:
    """The gap table: a block per benchmark, headed by its centralized score.

    On a narrow terminal a method is a paragraph instead of a line.
    """
    parts: list[RenderableType] = [
        Text("Gap to centralized training on test; positive: federated is worse", style="bold")
    ]
    blocks = _blocks(gaps)
    for (shared, central), members in blocks:
        parts.append(Text(f"\n{shown(shared)}\n{shown(central)}"))
        parts += wide_or_narrow(_COLUMNS, [cells(gap) for gap in members], width)
    return Group(*parts)


def _blocks(gaps: list[Gap]) -> list[tuple[tuple[str, str], list[Gap]]]:
    """Gaps under the same reference, in order."""
    blocks: dict[tuple[str, str], list[Gap]] = {}
    for gap in gaps:
        blocks.setdefault((gap.benchmark, reference(gap)), []).append(gap)
    return list(blocks.items())


def text(gaps: list[Gap], form: str) -> str:
    """The table as `markdown`, `csv` or `json`, for files and pipes."""
    found = contests(gaps)
    gained = comparison_tables.standing_rows(found)
    rows = [plain_row(gap.as_row() | gained[gap.task, gap.benchmark, gap.method]) for gap in gaps]
    if form == "json":
        return json.dumps(rows, indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return csv_table(rows)
    lines = ["| benchmark | " + " | ".join(_COLUMNS) + " |"]
    lines.append("|" + " --- |" * (len(_COLUMNS) + 1))
    for gap in gaps:
        head = markdown(gap.benchmark, LONGEST), markdown(reference(gap), LONGEST)
        method, *numbers = cells(gap)
        lines.append("| " + " | ".join(["; ".join(head), markdown(method), *numbers]) + " |")
    if any(gap.below_floor for gap in gaps):
        lines += ["", FLOOR_NOTE]
    compared = comparison_tables.worth_comparing(found)
    second = f"\n{comparison_tables.as_markdown(compared)}" if compared else ""
    return "\n".join(lines) + "\n" + second


def plan_table(plan: Plan) -> Table:
    """What `show` prints below the configuration."""
    table = Table(title="Predicted cost", show_header=False)
    central = plan.centralized_id is not None
    rows = [
        ("federated run", plan.federated_id),
        ("centralized reference", plan.centralized_id or "none"),
        ("weights", f"{plan.trainable:,} trained, {plan.frozen:,} frozen"),
        ("cohort", f"{plan.clients_per_round} of {plan.population} clients, {plan.rounds} rounds"),
        ("examples", f"{plan.examples:,} federated, {plan.centralized_examples:,} centralized"),
        ("steps", f"{plan.steps:,} federated, {plan.centralized_steps:,} centralized"),
        ("bytes down", human_bytes(plan.bytes_down)),
        ("bytes up", human_bytes(plan.bytes_up)),
        ("bytes of the frozen base", human_bytes(plan.bytes_base)),
        ("disk", human_bytes(plan.disk_bytes)),
        ("time at this load", f"about {human_seconds(plan.seconds)} of training, no evaluation"),
    ]
    for name, value in rows if central else [r for r in rows if r[0] != "centralized reference"]:
        table.add_row(name, value)
    return table


def data_table(corpus: Corpus, clients: np.ndarray) -> Table:
    """What was read, as `show` prints it; clients: [K] their numbers of training examples."""
    table = Table(title="Data", show_header=False)
    splits = ", ".join(f"{len(corpus.splits[split]):,} {split}" for split in corpus.splits)
    sizes = f"smallest {clients.min():,}, mean {clients.mean():,.1f}, largest {clients.max():,}"
    share = f"{100 * clients.max() / clients.sum():.3g} % of the examples"
    rows = [("examples", splits)]
    if corpus.labels:
        rows.append(("labels", shortened(corpus.labels)))
    unseen = unseen_labels(
        corpus.task, corpus.labels, *(corpus.splits[s].data.table for s in ("train", "test"))
    )
    if unseen:
        rows.append(("labels of test alone", shortened(unseen)))
    rows.append(("clients", f"{len(clients):,}: {sizes} ({share})"))
    if corpus.skipped:
        rows.append(("bad records left out", f"{len(corpus.skipped):,}"))
    rows += [(f"left out: {reason}", f"{count:,}") for reason, count in corpus.left_out.items()]
    for name, value in rows:
        table.add_row(Text(name), Text(value))  # names of labels are no markup
    return table


def human_seconds(seconds: float) -> str:
    """For example 3 min 20 s."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def human_bytes(count: float) -> str:
    """For example 12.3 MB (decimal)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def footnotes(gaps: list[Gap]) -> list[str]:
    """What a reader must know to read the table right."""
    notes = [
        "Model selection on validation, which the server holds and no client has; test is read for "
        "the selected round (federated, gap, relative) and for the last one (last: its gap).",
        "90/95/99 %: rounds until that share of centralized (above the floor) on validation.",
        f"Centralized budget: {', '.join(sorted({g.budget for g in gaps}))}.",
    ]
    for shared in sorted({g.benchmark for g in gaps if g.centralized <= g.floor}):
        notes.append(f"{shared}: centralized does not beat the floor, so its gap means nothing.")
    if any(g.below_floor for g in gaps):
        notes.append(FLOOR_NOTE)
    for shared, left in sorted({(g.benchmark, g.unassigned) for g in gaps if g.unassigned}):
        notes.append(
            f"{shared}: {left} test examples are like no client's data and in no client's share; "
            "the pooled test has them."
        )
    for gap in gaps:
        if gap.skipped:
            notes.append(
                f"{gap.benchmark}, {gap.method}: {gap.skipped} uploads were not finite and left "
                "out of their rounds (client.on_nonfinite: skip)."
            )
    if any(len(g.seeds) == 1 for g in gaps):
        notes.append("One seed: there is no interval.")
    if any(len(g.seeds) > 1 and g.gap.half_width is None for g in gaps):
        notes.append("Equal in all seeds: there is no interval.")
    if any(1 < len(g.seeds) < 6 for g in gaps):
        notes.append("Below six seeds no significance is claimed.")
    if not all(g.tuned for g in gaps):
        notes.append("Untuned: learning rates were not searched for.")
    notes += search_notes(gaps)
    if any(g.synthetic for g in gaps):
        notes.append("Synthetic: embedded corpora, not real text.")
    return [shown(note, LONGEST_NOTE) for note in notes]
