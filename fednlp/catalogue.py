"""What a configuration can name, as tables for `list`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.table import Table

from fednlp import places
from fednlp.cards import dataset_card, model_card


def _tasks() -> Table:
    from tasks import TASKS
    from tasks.schema import SKEW_KINDS

    table = _table("name", "primary metric", "skew labels", "what it is")
    for name, task in TASKS.items():
        kinds = ", ".join([*SKEW_KINDS[name], "cluster"])
        table.add_row(name, task.primary_metric, kinds, _summary(task))
    return table


def _datasets() -> Table:
    table = _table("name", "task", "sources", "skew label", "client")
    for name in places.card_names("datasets"):
        card = dataset_card(name)
        sources = ", ".join(card.sources)
        table.add_row(name, card.task, sources, card.skew, card.client or "-")
    return table


def _models() -> Table:
    table = _table("name", "kind", "what it is")
    for name in places.card_names("models"):
        card = model_card(name)
        table.add_row(name, card.kind, card.description)
    return table


def _partitioners() -> Table:
    from partitioners import PARTITIONERS

    table = _table("name", "parameters", "what it is")
    for name, spec in PARTITIONERS.items():
        table.add_row(name, _fields(spec.parameters), f"{spec.summary} ({spec.paper})")
    return table


def _formats() -> Table:
    from partitioners.formats import FORMATS

    table = _table("name", "files", "examples", "what it is")
    for name, form in FORMATS.items():
        files = ", ".join(form.suffixes) or "folder"
        table.add_row(name, files, form.examples, form.summary)
    return table


def _algorithms() -> Table:
    from algorithms import ALGORITHMS

    table = _table("name", "parameters", "what it is")
    for name, algorithm in ALGORITHMS.items():
        table.add_row(name, _fields(algorithm), _summary(algorithm))
    return table


CATALOGUES: dict[str, Callable[[], Table]] = {
    "tasks": _tasks,
    "datasets": _datasets,
    "models": _models,
    "partitioners": _partitioners,
    "algorithms": _algorithms,
    "formats": _formats,
}


def catalogue(what: str) -> Table:
    """The table of one of `CATALOGUES`."""
    return CATALOGUES[what]()


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    return table


def _fields(component: type) -> str:
    parts = []
    for field in dataclasses.fields(component):
        if field.name == "server":
            continue  # chosen in the section of that name
        required = field.default is dataclasses.MISSING
        parts.append(field.name if required else f"{field.name}={field.default}")
    return ", ".join(parts)


def _summary(component: type) -> str:
    """The first line of the docstring."""
    return (component.__doc__ or "").strip().splitlines()[0] if component.__doc__ else ""
