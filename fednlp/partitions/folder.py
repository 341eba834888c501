"""A partition as a folder to share: made, found again, recomputed.

    partition.npz      shares as rows of the source, with the hash of each example's content
    provenance.json    the same provenance, to read: data, partitioner, seed, achieved skew

`provenance["made_with"]` holds the configuration sections that make it again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from fednlp import config as configuration
from fednlp.cards import dataset_card
from fednlp.config_schema import PartitionConfig, RunConfig
from fednlp.errors import UserError, is_user_error
from fednlp.experiment import Experiment, check_components
from fednlp.partitions.build import FILE
from fednlp.partitions.rows import portable
from fednlp.results import files
from partitioners import PARTITIONERS, Partition, find_partitioner
from partitioners.files import staged

READABLE = "provenance.json"
NO_PARTITION = {"name": "uniform", "clients": 1}  # where only the data are asked for


def request(
    dataset: str,
    partition: dict[str, Any],
    overrides: list[str],
    options: Mapping[str, str] | None = None,
) -> RunConfig:
    """The configuration whose data and partition sections are asked for on the command line.

    partition: what the options of the command say; None where one was not given. options: the
    names of those that are not called like their keys.

    Raises:
        UserError: an override says what an option says, or what a run with these sections would
            be refused for.
    """
    given = {key: value for key, value in partition.items() if value is not None}
    names = {key: f"--{key.replace('_', '-')}" for key in partition}
    names |= {"name": "--partitioner", **(options or {})}
    data: dict[str, Any] = {
        "dataset": {"name": dataset},
        "partition": dict(given),
        "model": "tiny",  # no part of a partition, but of every configuration
        "algorithm": "fedavg",
    }
    for text in overrides:
        _require_partition_key(text)
        before = deepcopy(data)
        configuration.apply_override(data, text)
        for section, key, option in (
            ("dataset", "name", "--dataset"),
            *(("partition", key, names[key]) for key in given),
        ):
            where = f"{section}.{key}"
            after = data[section].get(key) if isinstance(data[section], dict) else None
            if text.partition("=")[0] == where or after != before[section][key]:
                raise UserError(where, f"stands beside {option}, which says it too", fix="drop one")
    section = data["partition"]
    if not section.get("clients") and section.get("name") != "natural":
        raise UserError("partition.clients", "is missing", "the number of clients", "add --clients")
    config = configuration.build(data, "partition")
    check_components(config, "partition")
    return config


def _require_partition_key(text: str) -> None:
    if text.partition("=")[0].partition(".")[0] not in ("dataset", "partition"):
        raise UserError(
            f"override '{text:.80}'", "is no part of a partition", "dataset.* or partition.*"
        )


def require_alpha(partitioner: str, where: str) -> None:
    """Raises UserError unless it is a partitioner with an alpha."""
    if not find_partitioner(partitioner).has_alpha:
        known = ", ".join(name for name, spec in PARTITIONERS.items() if spec.has_alpha)
        raise UserError(where, f"{partitioner} has none", f"a partitioner with an alpha: {known}")


def make(config: RunConfig) -> Partition:
    """The partition of a configuration, in rows of the source."""
    return of_run(Experiment(config))


def of_run(experiment: Experiment) -> Partition:
    """The partition of a run, in rows of the source, and what makes it again.

    A stored one keeps what its file says of that.
    """
    config = experiment.config
    rows = portable(experiment.partition, experiment.corpus)
    return rows if config.partition.name is None else with_data(rows, config, config.partition)


def with_data(
    partition: Partition, config: RunConfig, made: PartitionConfig | None = None
) -> Partition:
    """The partition with a note of the data it is of, and of the section that makes it again."""
    sections = {
        "dataset": config.dataset.model_dump(),
        "partition": made.model_dump() if made else None,
    }
    known = {"dataset": dataset_card(config.dataset.name).name, "made_with": sections}
    return replace(partition, provenance={**partition.provenance, **known})


def made_with(partition: Partition, where: str, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration that a partition says it was made with.

    overrides: `dataset.key=value`, for the same data read in another way.

    Raises:
        UserError: it says none, or one that this program does not take.
    """
    sections = partition.provenance.get("made_with")
    if not isinstance(sections, dict) or set(sections) != {"dataset", "partition"}:
        raise UserError(where, "does not say which data set it is of", fix="name it by --dataset")
    section = sections["partition"] or NO_PARTITION
    data = {**deepcopy(sections), "partition": section, "model": "tiny", "algorithm": "fedavg"}
    for text in overrides:
        configuration.apply_override(data, text)
    return configuration.build(data, where)


def require_data_overrides(overrides: Sequence[str]) -> None:
    """Raises UserError for an override of anything but the data: an import draws nothing."""
    for text in overrides:
        if text.partition("=")[0].partition(".")[0] != "dataset":
            raise UserError(f"override '{text:.80}'", "has no effect on an import", "dataset.*")


def kept_section(partition: Partition, config: RunConfig) -> PartitionConfig | None:
    """The section that makes an imported partition again, if its data are read as it says."""
    sections = partition.provenance.get("made_with")
    if not isinstance(sections, dict) or not sections.get("partition"):
        return None
    try:
        told = made_with(partition, "made_with")
    except ValueError as error:
        if not is_user_error(error):
            raise
        return None
    return told.partition if told.dataset == config.dataset else None


def write(partition: Partition, folder: Path) -> None:
    """Writes the folder, whole or not at all.

    Raises:
        UserError: it exists, or the system does not let it be written.
    """

    def fill(place: Path) -> None:
        partition.save(place / FILE)
        text = json.dumps(partition.provenance, indent=1, allow_nan=False)
        files.write_bytes(place / READABLE, (text + "\n").encode())

    whole(folder, fill)


def require_new(target: Path) -> None:
    """Raises UserError if something is there, if only a link to nothing."""
    if files.stands(target):
        raise UserError(str(target), "exists already", fix="name another one")


def whole(target: Path, fill: Callable[[Path], Any]) -> None:
    """A new directory that appears when `fill(temporary directory)` has filled it.

    Raises:
        UserError: it exists, or the system does not let it be written.
    """
    require_new(target)
    with staged(target) as temporary:
        fill(temporary)
        os.rename(temporary, target)


@contextmanager
def drawn(target: Path) -> Iterator[Path]:
    """A directory to draw in, whose files then take the place of those in `target`.

    Raises:
        UserError: the system does not let them be written.
    """
    if target.exists() and not target.is_dir():
        raise UserError(str(target), "is a file", "a folder", "name another one")
    with staged(target) as temporary:
        yield temporary
        target.mkdir(exist_ok=True)
        for path in sorted(temporary.iterdir()):
            os.replace(path, target / path.name)
