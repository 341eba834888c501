"""Clients whose training gave NaN or an infinity: the run stops, or goes on without them.

`client.on_nonfinite: skip` leaves such a client out of its round as if it had not been drawn: out
of the weighted mean, whose weights are renormalised, out of the cohort that the server sees, and
out of its own state, which stays what it was. What it trained and sent still counts as cost. A
round that no client survives stops the run.

Both settings are one run until the first such client, so the run's id does not hold the setting. A
folder in which clients were left out is an error where they must stop: the same line that the run
would have ended with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from algorithms.algorithm import State
from fednlp.errors import NotFinite

FIX = "lower client.lr, or leave such clients out: client.on_nonfinite: skip"


def nonfinite(state: State, what: str) -> str | None:
    """What is wrong with a client's tensors, in words, if one is not finite."""
    for name, tensor in state.items():
        if not is_finite(tensor):
            return f"its {what} '{name}' is not finite"
    return None


def is_finite(tensor: Tensor) -> bool:
    """A finite sum proves it in one cheap pass; only an overflowing sum needs the full look."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def refuse_skipped(rounds: Iterable[Mapping[str, Any]], folder: str) -> None:
    """Stops where a run that must not leave clients out would use rounds that did.

    Raises:
        NotFinite: names the first client, its round and the folder.
    """
    for record in rounds:
        if record.get("skipped"):
            raise NotFinite(
                f"client {record['skipped'][0]}, round {record['round']}",
                f"its upload is not finite ({folder} left it out)",
                fix=FIX,
            )
