"""What another library raises on a file of a user, as one line.

Reading a model folder, transformers, tokenizers and safetensors raise whatever they meet: KeyError,
TypeError, ZeroDivisionError, the panic of a Rust extension, which is no `Exception`. The file is to
blame, and `where` names it. Not for code of this package.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import DataError


@contextmanager
def told(where: str, expected: str, fix: str) -> Iterator[None]:
    """Turns every failure of the block into a `DataError`; one that is raised there stays."""
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # an interrupt, an exit
        lines = str(error).strip().splitlines()
        said = isinstance(error, OSError | ValueError | RuntimeError) and lines
        name = type(error).__name__
        found = lines[0] if said else f"{name}: {lines[0]}" if lines else name
        raise DataError(where, found[:300], expected, fix) from None
