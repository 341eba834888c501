"""Pictures of clients: whole-number ticks, held-out clients marked, labels told apart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from partitioners import Partition, make_partition
from partitioners.plots import plot_distances, plot_labels, plot_sizes

pytestmark = pytest.mark.filterwarnings("error")
LONG = [f"https://example.org/of/news/number-{i}/articles-of-the-year" for i in range(5)]


def made(clients: int, rows: int, held_out: float = 0.0) -> Partition:
    labels = np.arange(rows) % 5
    return make_partition(
        "dirichlet", {"alpha": 0.5}, clients=clients, seed=0, train_labels=labels,
        test_labels=labels[:50], label_names=LONG, held_out=held_out,
    )  # fmt: skip


def written(paths: tuple[Path, Path]) -> list[str]:
    return [t.strip() for t in re.findall(r"<!--(.*?)-->", paths[1].read_text(), re.DOTALL)]


def test_sizes_are_whole_numbers_on_both_axes(tmp_path: Path) -> None:
    words = written(plot_sizes(made(100, 1050), tmp_path / "sizes"))
    left = words[: words.index("train examples of a client, 10 to 11")]
    assert {"10", "11"} <= set(left) and not any("." in word for word in left)


@pytest.mark.parametrize(("clients", "held"), [(10, 3), (100, 30)])
def test_held_out_clients_are_marked(clients: int, held: int, tmp_path: Path) -> None:
    marked = made(clients, 1050, held_out=0.3)
    bare = replace(marked, held_out=np.zeros(0, np.int64))
    for name, plot, words in (
        ("sizes", plot_sizes, f"held out: {held}"),
        ("labels", plot_labels, f"{held} held out: triangles"),
        ("distances", plot_distances, f"{held} held out: triangles"),
    ):
        told = written(plot(marked, tmp_path / name))
        assert any(words in text for text in told), told
        assert "None" not in told
        assert not any("held out" in t for t in written(plot(bare, tmp_path / f"bare-{name}")))


def test_long_labels_are_told_apart(tmp_path: Path) -> None:
    rows = [t for t in written(plot_labels(made(6, 600), tmp_path / "x")) if "https" in t]
    assert len(rows) == 5 and len({row.split()[0] for row in rows}) == 5
