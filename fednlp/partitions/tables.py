"""What a partition was asked to be and what it came out as, for the terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from partitioners import Partition


def summary(partition: Partition) -> Table:
    """Two columns: asked and achieved."""
    told = partition.provenance
    table = Table(box=SIMPLE_HEAD, show_header=False, pad_edge=False)
    for name, value in (*_asked(partition, told), *achieved(told.get("achieved", {}))):
        table.add_row(name, escape(value))
    return table


def _asked(partition: Partition, told: dict[str, Any]) -> list[tuple[str, str]]:
    data = told.get("made_with", {}).get("dataset", {}).get("name", "unknown data")
    parameters = ", ".join(f"{k}={v:g}" for k, v in told.get("parameters", {}).items())
    method = str(told.get("partitioner", "unknown")) + (f" ({parameters})" if parameters else "")
    rows = [
        ("data", f"{data}, fingerprint {str(told.get('data_fingerprint', ''))[:12]}"),
        ("partitioner", method),
        ("clients", f"{partition.clients}, {len(partition.held_out)} held out"),
        ("skew label", str(told.get("skew", "unknown"))),
    ]
    if "seed" in told:
        rows.append(("seed", f"{told['seed']}, at least {told.get('min_size', 1)} examples each"))
    return [*rows, ("checksum", partition.checksum[:12])]


def achieved(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The measures of `provenance["achieved"]` in words."""
    if not told:
        return [("achieved", "not measured")]
    sizes = told["sizes"]
    error = told.get("js_distance_stderr")
    spread = f" +- {error:.3f} (sampled pairs)" if error else ""
    rows = [
        ("examples", f"{told['train_examples']} train, {told['test_examples']} test"),
        ("nobody's", f"{told['train_unassigned']} train, {told['test_unassigned']} test"),
        ("client sizes", f"{sizes['min']} to {sizes['max']}, mean {sizes['mean']:.1f}, "
                         f"Gini {sizes['gini']:.3f}"),
        ("js distance", f"{told['js_distance']:.3f}{spread}, mean over pairs of clients"),
        ("total variation", f"{told['total_variation']:.3f}, mean to all data"),
        ("missing labels", f"{told['missing_labels']:.1%} of {told['labels']} labels per client"),
    ]  # fmt: skip
    if "effective_alpha" in told:
        rows.append(("effective alpha", _alpha(told["effective_alpha"])))
    return rows


def _alpha(value: Any) -> str:
    return f"{value:.4g}, by maximum likelihood" if isinstance(value, (int, float)) else str(value)
