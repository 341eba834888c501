"""A partition of real data of every task, out to every format and back: what is the same.

`all`: shares, held-out clients, hashes, label counts and provenance; `shares`: those alone, all
that a csv holds. Where a format may hold examples they go with it. Sizes are of whole data sets.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.report import Report, arguments, machine, table
from benchmarks.timing import show_progress
from fednlp.experiment import Experiment
from fednlp.partitions import folder
from fednlp.partitions.exchange import adopted, examples, source_examples
from fednlp.partitions.source import source_sizes
from partitioners import LabelHistogram, Partition
from partitioners.formats import FORMATS, export_partition, import_partition

REAL = ("20newsgroups", "wnut17", "squad_by_article", "e2e_nlg")
EMBEDDED = ("synthetic_topics", "synthetic_events", "synthetic_facts", "synthetic_headlines")
CLIENTS, ALPHA, HELD_OUT = 20, 0.5, 0.2


def same(made: Partition, back: Partition) -> str:
    """`all`, `shares`, or `NO`."""
    shares = made.splits.keys() == back.splits.keys() and all(
        np.array_equal(split.indices, back.splits[name].indices)
        and np.array_equal(split.offsets, back.splits[name].offsets)
        and np.array_equal(split.hashes, back.splits[name].hashes)
        for name, split in made.splits.items()
    )
    told = [json.dumps(one.provenance, sort_keys=True) for one in (made, back)]
    counts = [_counts(one.histogram) for one in (made, back)]
    whole = np.array_equal(made.held_out, back.held_out)
    whole = whole and told[0] == told[1] and counts[0] == counts[1]
    return ("all" if whole else "shares") if shares else "NO"


def _counts(histogram: LabelHistogram | None) -> list | None:
    if histogram is None:
        return None
    arrays = (histogram.offsets, histogram.labels, histogram.counts)
    return [histogram.names, *(array.tolist() for array in arrays)]


def main() -> None:
    options = arguments(str(__doc__).splitlines()[0], repetitions=1).parse_args()
    names = EMBEDDED if options.smoke else REAL
    found: dict[str, list[str]] = {form: [] for form in FORMATS}
    header = []
    for number, name in enumerate(names, 1):
        asked = {"name": "dirichlet", "alpha": ALPHA, "clients": CLIENTS, "held_out": HELD_OUT}
        experiment = Experiment(folder.request(name, asked, []))
        corpus, made = experiment.corpus, folder.of_run(experiment)
        rows = sum(len(split.indices) for split in made.splits.values())
        header.append(f"{name}, {rows:,} examples")
        tables = examples(made, corpus, name)
        for form, spec in FORMATS.items():
            with TemporaryDirectory() as place:
                path = Path(place) / "split"
                content = None if spec.examples == "never" else tables
                sizes = source_sizes(corpus)
                export_partition(made, path, form, examples=content, sizes=sizes)
                read = import_partition(
                    path, form, sizes=sizes, examples=lambda s, c=corpus: source_examples(c, s)
                )
            back, lost = adopted(read, experiment, form)
            found[form].append("NO" if lost else same(made, back))
        show_progress("partition_round_trips", number, len(names))
    report = Report("partition_round_trips", "Partitions out and back", machine(experiment))
    report.parts += [
        f"Dirichlet {ALPHA}, {CLIENTS} clients, {HELD_OUT:.0%} of them held out.",
        table(("format", *header), [[form, *cells] for form, cells in found.items()]),
        str(__doc__).split("\n\n", 1)[1].strip().replace("\n", " "),
    ]
    report.publish(options.write)
    if any("NO" in cells for cells in found.values()):
        raise SystemExit("partition_round_trips: not every format gave the shares back")


if __name__ == "__main__":
    main()
