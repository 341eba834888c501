"""The harness beside other simulators of federated learning, and beside plain loops.

Each row of `simulation_rows` is a comparison of its own, whose ways take turns inside one run. The
peers run in environments of their own (`make peers`); the table says which are missing.
"""

from __future__ import annotations

from typing import Any

from benchmarks.report import Report, arguments
from benchmarks.simulation_rows import same_batches, usual_loop, whole_job

ROWS = {
    "same-batches": same_batches.section,
    "usual-loop": usual_loop.section,
    "whole-job": whole_job.section,
}


def main() -> None:
    parser = arguments(str(__doc__).splitlines()[0], repetitions=2)
    parser.add_argument(
        "--only", nargs="+", choices=list(ROWS), default=list(ROWS), help="rows (all)"
    )
    options = parser.parse_args()
    facts: dict[str, Any] = {}
    parts: list[str] = []
    for name in options.only:
        section = ROWS[name](options.smoke, options.repetitions)
        facts = {**section.facts, **facts, **section.versions}
        parts += [f"## {section.title}", *section.parts]
    Report("simulation", "Beside other simulators", facts, parts).publish(options.write)


if __name__ == "__main__":
    main()
