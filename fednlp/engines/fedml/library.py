"""FedML, imported without what nothing here uses of it.

Importing any part of FedML imports its image data sets, its trackers and its clients of cloud
services. Nothing that is used here calls them, so empty modules stand in for them while it is
imported, whether they are installed or not; they are gone afterwards, since other libraries look
for some of them, too. `fedml.init` is never called: it reports to a cloud.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from fednlp.errors import UserError

_WANTED = (
    *("torchvision", "wandb", "boto3", "botocore", "docker", "redis", "paho", "wget"),
    *("GPUtil", "chardet", "prettytable", "pkg_resources"),
)
_NEEDED = ("fedml", "mpi4py", "grpc")


class _Empty(ModuleType):
    """Has any attribute: an empty class of that name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if _is_wanted(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _is_wanted(name: str) -> bool:
    return name.partition(".")[0] in _WANTED


@contextmanager
def stand_ins() -> Iterator[None]:
    """While it lasts, what FedML wants and does not need is an empty module."""
    before = {name: module for name, module in sys.modules.items() if _is_wanted(name)}
    for name in before:
        del sys.modules[name]
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_wanted(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def missing() -> list[str]:
    """The packages of `make fedml` that are not installed."""
    return [name for name in _NEEDED if find_spec(name) is None]


def import_fedml(*modules: str) -> list[Any]:
    """The modules `fedml.NAME`, in order.

    Raises:
        UserError: FedML or what it needs is not installed.
    """
    absent = missing()
    if absent:
        found = f"needs {', '.join(absent)}, not installed here"
        raise UserError("engine.name", found, fix="make fedml, or engine.name=local")
    import requests  # noqa: F401 (which would try the stand-in of chardet)

    with stand_ins():
        return [importlib.import_module(f"fedml.{name}") for name in modules]


def main() -> None:
    """The check that ends `make fedml`."""
    import_fedml("core.distributed.fedml_comm_manager")
    import datasets
    import grpc
    import numpy
    import transformers
    from mpi4py import MPI

    assert int(numpy.__version__.partition(".")[0]) >= 2, "numpy 1"
    versions = (
        f"{module.__name__} {module.__version__}"
        for module in (numpy, datasets, transformers, grpc)
    )
    mpi = MPI.Get_library_version().split("\n")[0].replace("\t", " ")
    print(f"FedML works beside {', '.join(versions)}; {mpi}")


if __name__ == "__main__":
    main()
