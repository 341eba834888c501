"""Imports FedML where torchvision and wandb are not installed.

Importing any part of FedML imports its image data sets and its wandb calls. Nothing that is
measured uses them, so empty modules stand in for them while it is imported. They are gone
afterwards: transformers looks for torchvision, too.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

ABSENT = ("torchvision", "wandb")


class _Empty(ModuleType):
    """Has any attribute: an empty class of that name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if _is_absent(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _is_absent(name: str) -> bool:
    return name.partition(".")[0] in ABSENT


@contextmanager
def _stand_ins() -> Iterator[None]:
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_absent(name)]:
            del sys.modules[name]


def import_fedml(*modules: str) -> list[Any]:
    """The modules `fedml.NAME`, in order."""
    with _stand_ins():
        return [importlib.import_module(f"fedml.{name}") for name in modules]
