"""The forward pass through `torch.compile`, and its own way where that fails."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn


class CompiledModule:
    """A module whose calls are compiled, for all shapes at once; else it is the module.

    The first call that fails to compile is made as usual, and so are all that follow.
    """

    def __init__(self, module: nn.Module, backend: str = "inductor") -> None:
        self._module = module
        self._call: Any = torch.compile(module, dynamic=True, backend=backend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __call__(self, **inputs: Any) -> Any:
        if self._call is not self._module:
            try:
                return self._call(**inputs)
            except Exception as error:
                self._call = self._module
                lines = str(error).splitlines() or [type(error).__name__]
                logging.getLogger(__name__).warning(
                    "engine.compile: the model cannot be compiled (%s); the run goes on without",
                    lines[0],
                )
        return self._module(**inputs)
