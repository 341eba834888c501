"""Whether a file is the method that a run was made with, told without running it.

An identity holds the hash over the source of a method and of its bases (`components.source_hash`).
Which of the published modules are bases is known once the file has been executed; but they are few,
so each set of them is tried.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from functools import cache
from itertools import combinations

from algorithms import ALGORITHMS, SERVER_OPTIMIZERS
from fednlp.source_code import canonical


def is_source_of(source: bytes, algorithm_source: str) -> bool:
    """Whether `source` is a file of this hash in an identity.

    Comments, docstrings and line ends do not count.
    """
    try:
        own = canonical(source.decode("utf-8-sig")).encode()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    published = _published()
    for count in range(len(published) + 1):
        for bases in combinations(published, count):
            if hashlib.sha256(b"".join([*bases, own])).hexdigest() == algorithm_source:
                return True
    return False


@cache
def _published() -> list[bytes]:
    """The modules that a method's bases and its server optimizer can be in, by name."""
    classes = [
        c for kind in (*ALGORITHMS.values(), *SERVER_OPTIMIZERS.values()) for c in kind.mro()
    ]
    names = {c.__module__ for c in classes if c.__module__.partition(".")[0] == "algorithms"}
    modules = (importlib.import_module(name) for name in sorted(names))
    return [canonical(inspect.getsource(module)).encode() for module in modules]
