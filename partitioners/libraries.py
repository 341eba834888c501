"""Libraries that only some formats and the plots need, asked for when they are."""

from __future__ import annotations

from importlib import import_module

from .errors import PartitionError


def require_libraries(where: str, *names: str) -> None:
    """Raises PartitionError unless all of them can be imported; it says how to get the first."""
    for name in names:
        try:
            import_module(name)
        except ImportError as error:
            found = f"needs the library {name}"
            if not isinstance(error, ModuleNotFoundError):
                found += f", which cannot be imported ({error})"
            raise PartitionError(where, found, fix=f"pip install {name}") from None
