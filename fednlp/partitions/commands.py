"""The `partition` commands: splits made, looked at, shared, converted and checked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fednlp.console import console
from fednlp.errors import UserError
from fednlp.partitions.printing import client_numbers, client_table, numbers, pair_table

if TYPE_CHECKING:
    from partitioners import Partition

MOST = 40  # clients that `show` lists unless it is told which

app = typer.Typer(
    name="partition",
    help="Non-IID splits: make, look at, share, convert and check them.",
    no_args_is_help=True,
)

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="a partition folder, a run folder, or a partition.npz")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[key.sub=value]...", help="dataset.limit.train=1000, partition.clusters=5"
    ),
]
Dataset = Annotated[str, typer.Option("--dataset", help="a data set card, or its path")]
NewFolder = Annotated[Path, typer.Option("--out", help="must not exist")]


@app.command()
def make(
    dataset: Dataset,
    partitioner: Annotated[str, typer.Option(help="`list partitioners` names them")],
    out: NewFolder,
    overrides: Overrides = None,
    clients: Annotated[int | None, typer.Option(help="number of clients")] = None,
    alpha: Annotated[
        float | None, typer.Option(help="concentration, of a Dirichlet family")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of the split alone; default 0")] = None,
    min_size: Annotated[
        int | None, typer.Option(help="examples that every client has; default 1")
    ] = None,
    held_out: Annotated[
        float | None, typer.Option(help="share of clients that never train; default 0")
    ] = None,
    skew: Annotated[str | None, typer.Option(help="what counts as the class")] = None,
    target_skew: Annotated[
        str | None, typer.Option(help="find the alpha that gives it, e.g. JSD=0.4 (TV, missing)")
    ] = None,
) -> None:
    """Make a partition, and tell what was asked for and what came out."""
    from fednlp.partitions import folder
    from partitioners.target_skew import parse_target

    target = None if target_skew is None else parse_target(target_skew)
    folder.require_new(out)
    section = {
        "name": partitioner, "clients": clients, "alpha": alpha, "seed": seed,
        "min_size": min_size, "held_out": held_out, "skew": skew,
    }  # fmt: skip
    if target is None:
        made = folder.make(folder.request(dataset, section, overrides or []))
    else:
        made = _with_skew(dataset, section, overrides or [], *target)
    folder.write(made, out)
    _print_summary(made)
    _print_clients(made)
    console.print(f"partition: {out}", highlight=False, soft_wrap=True)


def _with_skew(
    dataset: str, section: dict[str, Any], overrides: list[str], measure: str, value: float
) -> Partition:
    from fednlp.partitions import folder
    from partitioners.target_skew import MEASURES, find_alpha

    if section["alpha"] is not None:
        raise UserError("--alpha", "stands beside --target-skew, which finds it", fix="drop one")
    folder.require_alpha(section["name"], "--target-skew")
    asked, key = {"alpha": "--target-skew"}, MEASURES[measure]

    def at(alpha: float) -> Partition:
        made = folder.make(folder.request(dataset, {**section, "alpha": alpha}, overrides, asked))
        skew = made.provenance["achieved"][key]
        told = f"alpha {alpha:.5g}: {key.replace('_', ' ')} {skew:.3f}"
        console.print(told, highlight=False)
        return made

    alpha, made = find_alpha(at, measure, value)
    console.print(f"alpha {alpha:.6g} gives {measure}={value:g}", highlight=False)
    made.provenance["target_skew"] = {"measure": measure, "target": value}
    return made


@app.command()
def show(
    folder: Folder,
    top: Annotated[int, typer.Option(min=1, help="labels named per client")] = 5,
    clients: Annotated[str | None, typer.Option(help="only these, e.g. 0-9,20")] = None,
    plots: Annotated[
        Path | None, typer.Option(help="where pictures go; default: plots/ beside the partition")
    ] = None,
) -> None:
    """Print and draw what each client holds."""
    from fednlp.partitions.build import stored_file
    from fednlp.partitions.folder import drawn
    from fednlp.results.files import refuse_link
    from partitioners import Partition
    from partitioners.plots import plot_distances, plot_labels, plot_sizes

    path = stored_file(folder)
    stored = Partition.load(path)
    chosen = client_numbers(clients, stored.clients) if clients else None
    target = plots or path.parent / "plots"
    if plots is None:  # where a link leads, nobody named
        refuse_link(target, "a directory for plots")
    with drawn(target) as place:
        plot_sizes(stored, place / "sizes")
        if stored.histogram is not None:
            plot_labels(stored, place / "labels")
            plot_distances(stored, place / "distances")
    _print_summary(stored)
    _print_clients(stored, chosen, top)
    console.print(f"plots: {target}", highlight=False, soft_wrap=True)


@app.command()
def compare(
    first: Folder,
    second: Annotated[Path, typer.Argument(metavar="OTHER", help="another one")],
    plots: Annotated[Path | None, typer.Option(help="where to draw the overlap")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell how much two partitions of the same data agree."""
    import json

    from fednlp.partitions.build import stored_file
    from fednlp.partitions.folder import drawn
    from partitioners import Partition
    from partitioners.comparison import compare as compared
    from partitioners.plots import plot_overlap
    from partitioners.tables import comparison_rows

    a, b = (Partition.load(stored_file(path)) for path in (first, second))
    found = compared(a, b)
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        console.print(pair_table(comparison_rows(found)))
    if plots is not None:
        with drawn(plots) as place:
            plot_overlap(a, b, found, place / "overlap")
        if not as_json:
            console.print(f"plots: {plots}", highlight=False, soft_wrap=True)


@app.command()
def sweep(
    dataset: Dataset,
    partitioners: Annotated[str, typer.Option(help="names with commas, each with an alpha")],
    clients: Annotated[int, typer.Option(help="number of clients")],
    out: NewFolder,
    overrides: Overrides = None,
    alphas: Annotated[
        str, typer.Option(help="numbers with commas")
    ] = "0.01,0.03,0.1,0.3,1,3,10,30,100",
    seeds: Annotated[str, typer.Option(help="numbers with commas")] = "0,1,2",
) -> None:
    """Draw the skew that is achieved against alpha."""
    from fednlp.partitions import folder as folders
    from fednlp.partitions.sweep import measured_sweep, write_sweep

    folders.require_new(out)
    points = measured_sweep(
        dataset,
        partitioners.split(","),
        clients,
        numbers(alphas, "--alphas", float),
        numbers(seeds, "--seeds", int),
        overrides or [],
        console,
    )
    write_sweep(points, dataset, clients, out)
    console.print(f"sweep: {out}", highlight=False, soft_wrap=True)


@app.command()
def verify(folder: Folder) -> None:
    """Check a partition against its data, and draw it again."""
    from fednlp.partitions.verify import verify as checks

    failed = 0
    for finding in checks(folder):
        console.print("[green]ok[/]  " if finding.holds else "[red]fails[/]", finding.name, end="")
        detail = f": {finding.detail}" if finding.detail else ""
        console.print(detail, markup=False, highlight=False, soft_wrap=True)
        failed += not finding.holds
    if failed:
        console.print(f"{failed} checks failed", highlight=False)
        raise typer.Exit(1)
    console.print("all checks passed", highlight=False)


@app.command()
def export(
    folder: Folder,
    form: Annotated[str, typer.Option("--format", help="`list formats` names them")],
    out: NewFolder,
    with_data: Annotated[bool, typer.Option("--with-data", help="the examples too")] = False,
    clients: Annotated[str | None, typer.Option(help="only these, e.g. 0-9,20")] = None,
) -> None:
    """Write a partition in another format."""
    from fednlp.experiment import Experiment
    from fednlp.partitions import folder as folders
    from fednlp.partitions.build import stored_file
    from fednlp.partitions.exchange import examples
    from partitioners import Partition
    from partitioners.formats import export_partition

    path = stored_file(folder)
    stored = Partition.load(path)
    tables = None
    if with_data:
        corpus = Experiment(folders.made_with(stored, str(path))).corpus
        tables = examples(stored, corpus, str(path))
    chosen = None if clients is None else client_numbers(clients, stored.clients)
    sizes = stored.provenance.get("source_sizes")
    written = export_partition(stored, out, form, examples=tables, clients=chosen, sizes=sizes)
    for place in written:
        console.print(f"written: {place}", highlight=False, soft_wrap=True)


def _print_summary(partition: Partition) -> None:
    from partitioners.tables import summary

    console.print(pair_table(summary(partition)))
    achieved = partition.provenance.get("achieved")
    left = achieved.get("test_unassigned") if isinstance(achieved, dict) else None
    if isinstance(left, int) and left:
        given = len(partition.splits["test"].indices)
        console.print(
            f"{left:,} of {left + given:,} test examples are in no client's share: no client has "
            "their class or author in train"
            + ("; no client can be scored on data of its own" if not given else ""),
            highlight=False,
            soft_wrap=True,
        )


def _print_clients(partition: Partition, chosen: list[int] | None = None, top: int = 5) -> None:
    """Sizes and the largest labels of the chosen clients, else of the first ones."""
    from fednlp.partitions.natural_clients import natural_clients, without_names
    from partitioners.tables import client_rows

    listed = range(min(partition.clients, MOST)) if chosen is None else chosen
    try:
        called = natural_clients(partition, listed, "the partition")
    except ValueError as error:
        called = None
        console.print(without_names(error), markup=False, highlight=False, soft_wrap=True)
    console.print(client_table(client_rows(partition, listed, top), called))
    if chosen is None and len(listed) < partition.clients:
        told = f"the first {MOST} of {partition.clients} clients; `show --clients` names others"
        console.print(told, highlight=False)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a partition in any format")],
    out: NewFolder,
    dataset: Annotated[
        str | None, typer.Option(help="the data it is of; may be left out where the file says it")
    ] = None,
    overrides: Overrides = None,
    form: Annotated[str | None, typer.Option("--format", help="if the file does not tell")] = None,
    method: Annotated[str | None, typer.Option(help="which of several in a FedNLP h5")] = None,
) -> None:
    """Read a partition of another program, check it against the data, and keep it."""
    from fednlp.experiment import Experiment
    from fednlp.partitions import folder as folders
    from fednlp.partitions.exchange import adopted, source_examples
    from fednlp.partitions.source import source_sizes
    from partitioners.formats import import_partition
    from partitioners.formats.importing import form_of

    folders.require_new(out)
    form = form_of(file, form).name
    folders.require_data_overrides(overrides or [])
    config = folders.request(dataset, folders.NO_PARTITION, overrides or []) if dataset else None
    sizes = contents = None
    if config is not None:
        corpus = Experiment(config).corpus
        sizes, contents = source_sizes(corpus), partial(source_examples, corpus)
    foreign = import_partition(file, form, method=method, sizes=sizes, examples=contents)
    if config is None:
        config = folders.made_with(foreign, str(file), overrides or [])
    kept, lost = adopted(foreign, Experiment(config), str(file))
    made = folders.kept_section(foreign, config) if kept is foreign else None
    kept = folders.with_data(kept, config, made)
    folders.write(kept, out)
    console.print(f"read: {file} as {form}", highlight=False, soft_wrap=True)
    _print_summary(kept)
    if kept.provenance.get("rows_by") == "number":
        console.print(
            "the order of its rows is not checked: it says nothing of what is in them",
            highlight=False,
            soft_wrap=True,
        )
    if lost:
        console.print(f"examples that no client has here: {lost}", highlight=False, soft_wrap=True)
    _print_empty(kept)
    console.print(f"partition: {out}", highlight=False, soft_wrap=True)


def _print_empty(partition: Partition) -> None:
    """Which clients hold no train example; a run takes none of them."""
    import numpy as np

    from partitioners.ranges import ranges

    empty = np.flatnonzero(partition.splits["train"].sizes() == 0)
    if len(empty):
        console.print(
            f"clients without a train example, which a run refuses: {ranges(empty, 10)} "
            f"({len(empty)} of {partition.clients}; numbers begin with 0)",
            highlight=False,
            soft_wrap=True,
        )
