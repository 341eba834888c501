"""The harness beside other simulators of federated learning, and beside plain loops.

Each row of `simulation_rows` is a comparison of its own, whose ways take turns inside one run, and
leaves a table of its own. The peers run in environments of their own (`make peers`); the table says
which are missing. All rows together take an hour with the repetitions that they have by default.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.report import Report, arguments
from benchmarks.simulation_rows import (
    client_overhead,
    same_batches,
    together,
    usual_loop,
    whole_job,
    workers,
)
from benchmarks.simulation_rows.section import Section


class Row(NamedTuple):
    """section: of (toy size, repetitions); repetitions: by default."""

    section: Callable[[bool, int], Section]
    repetitions: int


ROWS = {
    "same-batches": Row(same_batches.section, 3),
    "usual-loop": Row(usual_loop.section, 3),
    "workers": Row(workers.section, 3),
    "together": Row(together.section, 3),
    "client-overhead": Row(client_overhead.section, 3),
    "whole-job": Row(whole_job.section, 2),
}


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=3)
    parser.set_defaults(repetitions=None)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(ROWS),
        default=list(ROWS),
        metavar="ROW",
        help=f"of {', '.join(ROWS)} (all)",
    )
    options = parser.parse_args()
    for name in options.only:
        row = ROWS[name]
        section = row.section(options.smoke, options.repetitions or row.repetitions)
        facts = {**section.facts, **section.versions}
        report = Report("simulation", section.title, facts, section.parts, part=name)
        report.publish(options.write)


if __name__ == "__main__":
    main()
