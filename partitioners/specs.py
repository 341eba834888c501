"""The partitioners that a configuration can name, and what each takes and needs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from .cluster import ClusterParameters, cluster
from .dirichlet import DirichletParameters, dirichlet
from .dirichlet_per_class import DirichletPerClassParameters, dirichlet_per_class
from .errors import PartitionError
from .label_shards import LabelShardsParameters, label_shards
from .legacy_fednlp import LegacyFednlpParameters, legacy_fednlp
from .natural import NaturalParameters, natural
from .partition import Split
from .quantity import QuantityParameters, quantity
from .uniform import UniformParameters, uniform


@dataclass(frozen=True)
class PartitionerSpec:
    """One partitioner.

    split: the function; its first argument is the one array in `needs`, or the number of
        examples if it needs none. parameters: frozen dataclass of its settings, checked when
        built. needs: subset of {"labels", "features", "keys"}. summary, paper: one line each.
    """

    split: Callable[..., Split]
    parameters: type
    needs: frozenset[str]
    summary: str
    paper: str

    @property
    def has_alpha(self) -> bool:
        return any(item.name == "alpha" for item in fields(self.parameters))

    def read(self, settings: Mapping[str, Any]) -> Any:
        """`parameters` from a plain mapping; PartitionError for unknown, missing or bad ones."""
        known = {item.name: item for item in fields(self.parameters)}
        for key in settings:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                raise PartitionError(
                    f"partition.{key}",
                    f"unknown for {self.split.__name__}",
                    f"one of {', '.join(known)}" if known else "no parameters",
                    f"did you mean {near[0]}?" if near else "",
                )
        for key, item in known.items():
            if item.default is MISSING and key not in settings:
                raise PartitionError(
                    f"partition.{key}", f"missing; {self.split.__name__} has no default for it"
                )
        return self.parameters(**settings)


def _spec(
    split: Callable[..., Split], parameters: type, needs: set[str], summary: str, paper: str
) -> PartitionerSpec:
    return PartitionerSpec(split, parameters, frozenset(needs), summary, paper)


PARTITIONERS: dict[str, PartitionerSpec] = {
    "uniform": _spec(
        uniform,
        UniformParameters,
        set(),
        "IID clients of equal size",
        "McMahan et al. 2017, Communication-efficient learning of deep networks",
    ),
    "dirichlet": _spec(
        dirichlet,
        DirichletParameters,
        {"labels"},
        "label skew, equal client sizes: Dir(alpha * p) over labels per client",
        "Hsu et al. 2019; FedNLP, Lin et al. 2022",
    ),
    "dirichlet_per_class": _spec(
        dirichlet_per_class,
        DirichletPerClassParameters,
        {"labels"},
        "label and size skew: each label spread over clients by Dir(alpha * 1)",
        "Yurochkin et al. 2019; NIID-Bench, Li et al. 2022",
    ),
    "label_shards": _spec(
        label_shards,
        LabelShardsParameters,
        {"labels"},
        "exactly k different labels per client",
        "McMahan et al. 2017, Communication-efficient learning of deep networks",
    ),
    "quantity": _spec(
        quantity,
        QuantityParameters,
        set(),
        "size skew, IID content: Dir(alpha * 1) over client sizes",
        "NIID-Bench, Li et al. 2022; FedNLP, Lin et al. 2022",
    ),
    "cluster": _spec(
        cluster,
        ClusterParameters,
        {"features"},
        "topic skew, equal client sizes: k-means on features, Dir(alpha * p) over clusters",
        "FedNLP, Lin et al. 2022",
    ),
    "natural": _spec(
        natural,
        NaturalParameters,
        {"keys"},
        "one client per author, article or source, or keys grouped into fewer clients",
        "LEAF, Caldas et al. 2018; FedNLP, Lin et al. 2022",
    ),
    "legacy_fednlp": _spec(
        legacy_fednlp,
        LegacyFednlpParameters,
        {"labels"},
        "the label split of FedNLP's code, defects and all, to compare old results with new",
        "FedNLP, Lin et al. 2022",
    ),
}


def find_partitioner(name: str) -> PartitionerSpec:
    """The spec of `name`; PartitionError names the nearest known one."""
    if name in PARTITIONERS:
        return PARTITIONERS[name]
    near = difflib.get_close_matches(str(name), PARTITIONERS, n=1)
    raise PartitionError(
        "partition.name",
        repr(name),
        f"one of {', '.join(PARTITIONERS)}",
        f"did you mean {near[0]}?" if near else "",
    )
