"""Where things are: cards, caches, data. No other module reads these environment variables."""

from __future__ import annotations

import os
from pathlib import Path

from fednlp.errors import UserError, nearest
from tasks.plain_files import kind_of

DEFAULT = Path(__file__).resolve().parents[1] / "configs"


def configs_dir() -> Path:
    """`FEDNLP_CONFIGS`, or `configs/` beside `run_bench.py`."""
    given = os.environ.get("FEDNLP_CONFIGS")
    return _folder("FEDNLP_CONFIGS", given) if given else DEFAULT


def cache_dir() -> Path:
    """`FEDNLP_CACHE`, or `~/.cache/fednlp`: parsed data, tokenizers, token stores."""
    given = os.environ.get("FEDNLP_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "fednlp"


def data_root() -> Path | None:
    """`FEDNLP_DATA`: the folder with `data/` and `models/`, if it is set."""
    given = os.environ.get("FEDNLP_DATA")
    return _folder("FEDNLP_DATA", given) if given else None


def _folder(variable: str, given: str) -> Path:
    fix = "correct or unset it"
    if kind_of(Path(given), variable, fix) != "directory":
        raise UserError(variable, f"{given} is not a directory", fix=fix)
    return Path(given)


_VARIABLES = ("FEDNLP_CONFIGS", "FEDNLP_CACHE", "FEDNLP_DATA")


def variables() -> dict[str, str]:
    """What this program's variables say, with whole paths, for a process in another directory."""
    return {name: os.path.abspath(os.environ[name]) for name in _VARIABLES if os.environ.get(name)}


def adopt(variables: dict[str, str]) -> None:
    """Sets them in a process that was forked by one that may have had others."""
    for name in _VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(variables)


def config_file(name: str) -> Path:
    """A path as given, or relative to `configs/` or `configs/suites/`, with or without `.yaml`."""
    folders = (configs_dir(), configs_dir() / "suites")
    for candidate in (Path(name), *(f / n for f in folders for n in (name, f"{name}.yaml"))):
        if kind_of(candidate) == "file":
            return candidate
    if kind_of(Path(name)) == "directory":
        raise UserError(name, "is a directory", "a YAML file")
    raise UserError(name, "no such file", fix=f"looked here and in {configs_dir()}")


def card_names(kind: str) -> list[str]:
    """Names of the cards in `configs/<kind>`."""
    return sorted(path.stem for path in (configs_dir() / kind).glob("*.yaml"))


def is_card_path(name: str) -> bool:
    """Whether a card is named by its path, not by its name in `configs/`."""
    return Path(name).suffix in (".yaml", ".yml")


def card_file(kind: str, name: str, key: str) -> Path:
    """The file of a card in `configs/datasets` or `configs/models`, by name or by path.

    Raises:
        UserError: there is none; names the `key` that asked for it.
    """
    if is_card_path(name):
        return Path(name)
    path = configs_dir() / kind / f"{name}.yaml"
    if kind_of(path, key) != "file":
        raise UserError(
            key,
            f"no card '{name}'",
            fix=nearest(name, card_names(kind)),
        )
    return path
