"""Pictures: both files, legible texts that do not touch, and the same bytes every time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from partitioners import Partition, PartitionError, Split, compare, make_partition
from partitioners.plots import labels as labels_file
from partitioners.plots import overlap as overlap_file
from partitioners.plots import plot_distances, plot_labels, plot_overlap, plot_sizes, plot_sweep
from partitioners.plots.style import heading, printable

pytestmark = pytest.mark.filterwarnings("error")


def made(
    clients: int = 6,
    classes: int = 5,
    name: str = "dirichlet",
    seed: int = 0,
    names: list[str] | None = None,
) -> Partition:
    rows = max(600, 12 * clients)
    labels = np.random.default_rng(classes).integers(0, classes, rows)
    partition = make_partition(
        name,
        {} if name == "uniform" else {"alpha": 0.5},
        clients=clients,
        seed=seed,
        train_labels=labels,
        test_labels=labels[:50],
        label_names=names or [f"label {c}" for c in range(classes)],
    )
    partition.provenance["dataset"] = "some_data"
    return partition


def overlap_with_another(partition: Partition, target: Path) -> tuple[Path, Path]:
    rows = max(600, 12 * partition.clients)
    other = make_partition(
        "uniform",
        {},
        clients=max(partition.clients // 2, 1),
        seed=1,
        train_labels=np.zeros(rows, dtype=int),
        test_labels=np.zeros(50, dtype=int),
    )
    return plot_overlap(partition, other, compare(partition, other), target)


PLOTS: list[Callable[[Partition, Path], tuple[Path, Path]]] = [
    plot_labels,
    plot_distances,
    plot_sizes,
    overlap_with_another,
]


def size(png: Path) -> tuple[int, int]:
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def texts(svg: Path) -> list[str]:
    """What is written: matplotlib draws letters as paths, and notes the text in a comment."""
    ElementTree.fromstring(svg.read_bytes())
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", svg.read_text(), re.DOTALL)]


@pytest.fixture
def touching(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[tuple[str, str]]]:
    """A function: the pairs of texts in the PNGs drawn so far that overlap or leave the picture."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.text import Text

    drawn: dict[int, dict[int, tuple[str, Any, Any]]] = {}  # the last drawing, after layout
    draw = Text.draw

    def noted(self: Any, renderer: Any) -> None:
        draw(self, renderer)
        if isinstance(renderer, RendererAgg) and self.get_visible() and self.get_text():
            box = self.get_window_extent(renderer).shrunk(0.98, 0.9)
            page = drawn.setdefault(id(renderer), {})
            page[id(self)] = (self.get_text(), box, renderer)

    monkeypatch.setattr(Text, "draw", noted)

    def found() -> list[tuple[str, str]]:
        pairs = []
        assert drawn
        for page_texts in drawn.values():
            boxes = list(page_texts.values())
            for number, (text, box, page) in enumerate(boxes):
                if min(box.x0, box.y0) < 0 or box.x1 > page.width or box.y1 > page.height:
                    pairs.append((text, "the edge"))
                rest = boxes[number + 1 :]
                pairs += [(text, other) for other, place, _ in rest if box.overlaps(place)]
        return pairs

    return found


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize(("clients", "classes"), [(1, 1), (6, 60), (1000, 2)])
def test_every_picture_is_written_twice_and_legible(
    plot: Callable, clients: int, classes: int, tmp_path: Path, touching: Callable
) -> None:
    partition = made(clients, classes)
    png, svg = plot(partition, tmp_path / "deep" / "a=0.5 picture")
    assert (png.name, svg.name) == ("a=0.5 picture.png", "a=0.5 picture.svg")
    assert sorted(os.listdir(png.parent)) == [png.name, svg.name]
    width, height = size(png)
    assert 900 <= width <= 1600 and 350 <= height <= 1600
    assert svg.stat().st_size < 2_000_000
    count = "1 client" if clients == 1 else f"{clients:,} clients"
    assert f"some_data; dirichlet, alpha=0.5; {count}; seed 0" in " ".join(texts(svg))
    assert not touching()


def test_labels_are_named_and_many_summed_up(tmp_path: Path) -> None:
    many = texts(plot_labels(made(3, 41), tmp_path / "many")[1])
    assert sum(text.startswith("label ") for text in many) == 39 + 1  # and the name of the axis
    assert any(text.startswith("2 others ") for text in many)
    few = labels_file.label_table(made(3, 40), np.arange(3))[0]
    assert sorted(few) == sorted(f"label {n}" for n in range(40))


def test_shares_of_the_heat_map_are_those_of_the_clients() -> None:
    partition = made(4, 60)
    histogram = partition.histogram
    assert histogram is not None
    clients = np.array([2, 0])
    names, pooled, shares = labels_file.label_table(partition, clients)
    assert len(names) == len(pooled) == len(shares) == 40 and names[-1] == "21 others"
    assert shares.sum(axis=0) == pytest.approx(1) and pooled.sum() == pytest.approx(1)
    assert (np.diff(pooled[:-1]) <= 0).all()
    for column, k in enumerate(clients):
        held = histogram.client(k)
        for name, share in zip(names[:-1], shares[:-1, column], strict=True):
            assert share == pytest.approx(held.get(name, 0) / sum(held.values()))


def test_a_sample_of_many_clients_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioners.pairwise.MOST", 20)
    for plot in (plot_labels, plot_distances):
        _, svg = plot(made(50), tmp_path / plot.__name__)
        assert any(text.endswith("20 of them shown") for text in texts(svg))


@pytest.mark.parametrize(
    ("name", "clients"),
    [
        ("dirichlet_per_class", 6),
        ("quantity", 30),
        ("dirichlet_per_class", 31),
        ("quantity", 500),
        ("uniform", 500),
    ],
)
def test_sizes(name: str, clients: int, tmp_path: Path, touching: Callable) -> None:
    partition = made(clients, name=name)
    written = texts(plot_sizes(partition, tmp_path / "sizes")[1])
    gini = partition.provenance["achieved"]["sizes"]["gini"]
    assert f"Gini coefficient {gini:.3f}" in written and not touching()
    sizes = partition.splits["train"].sizes()
    if clients == 6:
        assert {f"{size:,}" for size in sizes} <= set(written)
    if clients > 30:
        assert f"mean {sizes.mean():,.1f}" in written


def test_sizes_of_test_and_of_nothing(tmp_path: Path) -> None:
    split = Split.from_owners(np.array([-1, -1]), 40)
    nothing = Partition({"train": split, "test": split}, {})
    _, svg = plot_sizes(nothing, tmp_path / "nothing", split="test")
    assert "unknown partitioner; 40 clients; test examples" in texts(svg)


def test_overlap_names_both_and_their_distances(tmp_path: Path) -> None:
    a, b = made(6), made(6, seed=1)
    written = texts(plot_overlap(a, b, compare(a, b), tmp_path / "two")[1])
    assert f"A: {heading(a)} B: {heading(b)}" in " ".join(written)
    mean = np.mean(compare(a, b).matching.distances or ())
    assert f"JS distance of label mixes, mean {mean:.3f}" in written
    bare = Partition(a.splits, a.provenance)
    written = texts(plot_overlap(bare, bare, compare(bare, bare), tmp_path / "bare")[1])
    assert written.count("100%") == 7  # six partners, and the scale
    assert not any("label mixes" in text for text in written)


def test_overlap_of_many_sums_neighbours_up() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 5, (7, 5))
    rows, columns = rng.permutation(7), rng.permutation(5)
    grouped = overlap_file._grouped(csr_array(table), rows, columns, 3, 2)
    ordered = np.pad(table[rows][:, columns], ((0, 2), (0, 1)))
    sums = ordered.reshape(3, 3, 3, 2).sum(axis=(1, 3))
    assert grouped == pytest.approx(sums / sums.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("clients", "told"),
    [
        ((160, 150), {"client of A; 2 in a cell", "client of B, matched order; 2 in a cell"}),
        ((2, 160), {"client of A", "client of B, matched order; 2 in a cell"}),
    ],
)
def test_overlap_of_many(clients: tuple[int, int], told: set, tmp_path: Path) -> None:
    a, b = (made(count) for count in clients)
    assert told <= set(texts(plot_overlap(a, b, compare(a, b), tmp_path / "many")[1]))


def sweep(*alphas: float, name: str = "dirichlet") -> list[tuple[float, dict]]:
    achieved = [made(name=name, seed=seed).provenance["achieved"] for seed in range(len(alphas))]
    return list(zip(alphas, achieved, strict=True))


def test_sweep(tmp_path: Path, touching: Callable) -> None:
    lines = {f"family {n}": sweep(0.01, 100, 1) for n in range(5)}
    written = texts(plot_sweep(lines, "some_data; 6 clients", tmp_path / "sweep")[1])
    assert {"some_data; 6 clients", "alpha", "0.01", "100", *lines} <= set(written)
    assert not touching()


def test_lines_that_lie_on_one_another_are_both_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.axes import Axes

    drawn = []
    real = Axes.plot

    def spy(self: Any, *values: Any, **style: Any) -> Any:
        drawn.append((str(style["linestyle"]), style["marker"], style["markersize"]))
        return real(self, *values, **style)

    monkeypatch.setattr(Axes, "plot", spy)
    same = sweep(0.01, 1)
    plot_sweep({"dirichlet": same, "cluster": same}, "some_data", tmp_path / "sweep")
    first, second = drawn[:2]
    assert all(one != other for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ({}, "sweep: nothing was measured"),
        ({"dirichlet": []}, "sweep: nothing was measured"),
        ({"dirichlet": [(0.1, {"js_distance": 0.5})]}, "sweep: no total_variation at alpha 0.1"),
    ],
)
def test_sweep_of_nothing(lines: dict, line: str, tmp_path: Path) -> None:
    with pytest.raises(PartitionError, match=line):
        plot_sweep(lines, "title", tmp_path / "sweep")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("plot", [plot_labels, overlap_with_another])
def test_the_same_picture_is_the_same_bytes(plot: Callable, tmp_path: Path) -> None:
    """Also where the program has its own style."""
    import matplotlib

    first = [path.read_bytes() for path in plot(made(), tmp_path / "first")]
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "svg.hashsalt": "other"}):
        second = [path.read_bytes() for path in plot(made(), tmp_path / "second")]
        assert matplotlib.rcParams["font.size"] == 20
    assert first == second


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_no_picture_is_overwritten(plot: Callable, suffix: str, tmp_path: Path) -> None:
    old = tmp_path / f"old.{suffix}"
    old.write_text("mine")
    with pytest.raises(PartitionError, match=rf"old\.{suffix}: exists; choose another name"):
        plot(made(), tmp_path / "old")
    assert os.listdir(tmp_path) == [old.name] and old.read_text() == "mine"


def test_both_pictures_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.replace

    def full(source: Path, target: Path) -> None:
        if target.suffix == ".svg":
            raise OSError(28, "No space left on device")
        write(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PartitionError, match=r"a\.svg: cannot be written \(No space left"):
        plot_sizes(made(), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_without_a_histogram_there_is_one_line(tmp_path: Path) -> None:
    partition = Partition(made().splits, {})
    for plot in (plot_labels, plot_distances):
        with pytest.raises(PartitionError, match="histogram: the partition does not say") as error:
            plot(partition, tmp_path / "none")
        assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


HOSTILE = [
    "$x^{2$",
    "a\nb\x00\x1b[31m--><svg>",
    "标签 וליבל",
    "&amp;<b>]]>",
    "l" * 300,
    " ",
    "\ud800",
]


def test_any_name_can_be_drawn(tmp_path: Path, touching: Callable) -> None:
    partition = made(6, len(HOSTILE), names=HOSTILE)
    odd = {"dataset": "d$a\nta" * 60, "parameters": {"alpha": "<x>", "b": None}}
    partition.provenance.update(odd)
    for plot in PLOTS:
        _, svg = plot(partition, tmp_path / plot.__name__)
        assert any("$" in text for text in texts(svg))
    assert not touching()


def test_printable() -> None:
    assert printable(" a\tb\n\x00c ") == "a b c"
    assert printable("x" * 28) == "x" * 28
    assert printable("relation of one thing to another") == "relation of one t... another"


def test_matplotlib_comes_with_the_first_picture_and_pyplot_never(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from partitioners.plots import plot_sizes; import partitioners.tables\n"
        "from partitioners import Partition, Split\n"
        "assert not {'matplotlib', 'torch', 'transformers', 'scipy'} & set(sys.modules)\n"
        "split = Split(np.arange(3), np.array([0, 1, 3]))\n"
        f"plot_sizes(Partition({{'train': split}}, {{}}), Path({str(tmp_path / 'p')!r}))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert len(list(tmp_path.iterdir())) == 2
