"""YAML with line numbers, no duplicate keys, and `1e-3` read as a number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from fednlp.errors import UserError


class _Loader(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, which reads `1e-3` as text, `010` as 8 and `1:30` as 90; numbers
    follow YAML 1.2 here.
    """


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?$|^[-+]?[0-9]+[eE][-+]?[0-9]+$"
        r"|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
    ),
    list("-+0123456789."),
)


def parse_value(text: str, where: str) -> Any:
    """The value of `key=text` on the command line."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UserError(where, f"not a YAML value: {text!r}", fix=_problem(error)) from None


Places = dict[tuple[str, ...], str]  # key path -> "file:line"


def load_mapping(path: Path) -> tuple[dict[str, Any], Places]:
    """Reads a YAML mapping.

    Returns:
        The mapping, and the place of every key path.

    Raises:
        UserError: the file is missing, unreadable, not YAML, not a mapping, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(str(path), "no such file", fix="check the path") from None
    except IsADirectoryError:
        raise UserError(str(path), "is a directory", "a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(str(path), f"cannot be read ({reason})", "a readable YAML file") from None
    try:
        node = yaml.compose(text, _Loader)
        places: Places = {}
        if node is not None:
            _collect_places(node, (), places, path, set())
        data = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(where, f"not valid YAML ({_problem(error)})") from None
    except RecursionError:
        raise UserError(str(path), "is nested too deeply", "a plain mapping") from None
    except ValueError as error:  # a date that is none
        if isinstance(error, UserError):
            raise
        raise UserError(str(path), f"holds a value that is none ({error})") from None
    if not isinstance(data, dict):
        raise UserError(str(path), f"holds {_kind(data)}", "a mapping of keys to values")
    return data, places


def _collect_places(
    node: yaml.Node,
    path: tuple[str, ...],
    places: Places,
    file: Path,
    open_nodes: set[int],
) -> None:
    if id(node) in open_nodes:
        raise UserError(f"{file}:{node.start_mark.line + 1}", "an anchor that contains itself")
    open_nodes.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise UserError(
                    f"{file}:{line}", f"key '{name}' stands twice (also line {seen[name]})"
                )
            seen[name] = line
            places[(*path, name)] = f"{file}:{line}"
            _collect_places(value, (*path, name), places, file, open_nodes)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            places[(*path, str(number))] = f"{file}:{value.start_mark.line + 1}"
            _collect_places(value, (*path, str(number)), places, file, open_nodes)
    open_nodes.discard(id(node))


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _kind(value: Any) -> str:
    return {type(None): "nothing", list: "a list", str: "text"}.get(type(value), "a single value")
