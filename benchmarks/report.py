"""What a benchmark leaves behind: a Markdown table, the command and the machine."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"


def arguments(description: str, repetitions: int) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--smoke", action="store_true", help="toy size: does it run at all?")
    parser.add_argument("--write", action="store_true", help="store benchmarks/results/NAME.md")
    parser.add_argument(
        "--repetitions", type=int, default=repetitions, help=f"counted ones ({repetitions})"
    )
    return parser


def as_command(main: Callable[[], None]) -> None:
    """Runs it; what a user did wrong is one line."""
    from fednlp.errors import UserError

    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is aligned left, the others right."""
    rule = [":--", *("--:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


@dataclass
class Report:
    """Paragraphs and tables in order; `facts` of the machine come from `machine`.

    part: of a benchmark whose parts are stored one by one.
    """

    name: str
    title: str
    facts: dict[str, Any]
    parts: list[str] = field(default_factory=list)
    package: str = "benchmarks"
    part: str = ""

    def text(self) -> str:
        command = " ".join([f"python -m {self.package}.{self.name}", *sys.argv[1:]])
        machine = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        today = datetime.date.today().isoformat()
        head = [f"# {self.title}", f"`{command}`, {today}; {machine}."]
        return "\n\n".join([*head, *self.parts]) + "\n"

    def publish(self, write: bool) -> None:
        """Prints, and stores the text in results/ if asked."""
        print(self.text())
        if write:
            RESULTS.mkdir(exist_ok=True)
            name = "-".join(filter(None, [self.name, self.part]))
            (RESULTS / f"{name}.md").write_text(self.text(), encoding="utf-8")


def machine(experiment: Any) -> dict[str, Any]:
    """Cores, processor, threads and versions; nothing that names a computer or a place."""
    from fednlp.environment import environment

    facts = environment(experiment)
    return {key: facts[key] for key in ("processor", "cores", "threads", "torch", "transformers")}
