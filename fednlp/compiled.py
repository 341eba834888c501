"""The forward pass through `torch.compile`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fednlp.errors import UserError


class CompiledModule:
    """A module whose calls are compiled, for all shapes at once.

    Raises:
        UserError: a call cannot be compiled; to go on without would be another computation than
            `environment.json` tells.
    """

    def __init__(self, module: nn.Module, backend: str = "inductor") -> None:
        self._module = module
        self._call: Any = torch.compile(module, dynamic=True, backend=backend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __call__(self, **inputs: Any) -> Any:
        try:
            return self._call(**inputs)
        except Exception as error:
            from torch._dynamo.exc import TorchDynamoException  # a second, for those who compile

            if not isinstance(error, TorchDynamoException):
                raise
            lines = [line for line in str(error).splitlines() if not line.endswith("raised:")]
            reason = lines[0] if lines else type(error).__name__
            found = f"the model cannot be compiled ({reason})"
            raise UserError("engine.compile", found, fix="leave it out, or mend that") from None
