"""How FedNLP names the partitions in its h5 files, in all spellings that were ever written.

`niid_label_clients=100_alpha=1` of its newer code is `..._clients=100.0_alpha=1.0` of older files
and of its run scripts; `kmeans_clusters=10` was `kmeans_10`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..errors import PartitionError

_NUMBER = re.compile(r"=(\d+(?:\.\d*)?(?:e[+-]?\d+)?)(?=_|$)")
_FAMILIES = {"dirichlet": "label", "legacy_fednlp": "label", "cluster": "cluster"}


def canonical(name: str) -> str:
    """The same for all spellings of a method."""
    name = re.sub(r"^kmeans_(\d+(?:\.0*)?)$", r"kmeans_clusters=\1", name)
    return _NUMBER.sub(lambda match: f"={float(match[1]):g}", name)


def choose(where: str, methods: Sequence[str], wanted: str | None) -> str:
    """The key of the wanted method, or of the only one; PartitionError lists them.

    wanted: its name in any spelling, or the part that tells it from the others: `alpha=1`.
    """
    if wanted is None:
        if len(methods) == 1:
            return methods[0]
        if not methods:
            raise PartitionError(where, "holds no partition")
        found = f"holds {len(methods)} partitions: {_listed(methods)}"
        raise PartitionError(where, found, fix="say which (method)")
    if wanted in methods:
        return wanted
    near = [name for name in methods if canonical(name) == canonical(wanted)]
    if not near:
        parts = _parts(wanted)
        near = [name for name in methods if parts <= _parts(name)]
    if len(near) == 1:
        return near[0]
    if near:
        raise PartitionError(where, f"method {wanted!r} may be {_listed(near)}", "the whole name")
    raise PartitionError(where, f"no method {wanted!r}", f"one of {_listed(methods)}")


def _parts(name: str) -> set[str]:
    """`niid_label_clients=3_alpha=1.0` as niid, label, clients=3 and alpha=1."""
    return set(canonical(name).split("_"))


def _listed(methods: Sequence[str]) -> str:
    more = f" and {len(methods) - 12} more" if methods[12:] else ""
    return ", ".join(methods[:12]) + more


def names_for(provenance: dict[str, Any], clients: int) -> list[str]:
    """What the partition is called in an h5 file; both spellings where alpha is whole.

    Families that FedNLP does not have keep their own name: `dirichlet_per_class_clients=...`.
    """
    kind, parameters = provenance.get("partitioner", "partition"), provenance.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    alpha = parameters.get("alpha")
    if kind == "imported" and isinstance(provenance.get("method"), str):
        return [provenance["method"]]
    if kind == "uniform":
        return [f"uniform_clients={clients}", "uniform"]
    if kind == "quantity" and isinstance(alpha, (int, float)):
        return [f"niid_quantity_clients={clients}_beta={alpha:.1f}"]
    stem = f"{kind}_clients={clients}"
    if kind in _FAMILIES:
        stem = f"niid_{_FAMILIES[kind]}_clients={clients}"
    if not isinstance(alpha, (int, float)):
        return [re.sub(r"[^\w=.]", "_", stem)]
    return list(dict.fromkeys([f"{stem}_alpha={alpha:g}", f"{stem}_alpha={float(alpha)}"]))
