"""YAML with line numbers, no duplicate keys, and `1e-3` read as a number.

Only what JSON knows: dates stay text, other tags are errors. Files are small, flat and, with their
anchors written out, not much larger than they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from fednlp.errors import UserError
from tasks.plain_files import read_plain


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
        return _parse(text, where)
    except yaml.YAMLError as error:
        raise UserError(where, f"not a YAML value: {text!r:.80}", fix=_problem(error)) from None
    except RecursionError:
        raise UserError(where, "is nested too deeply", "a plain value") from None
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(where, f"holds a value that is none ({error})") from None


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in _Loader.yaml_implicit_resolvers.items()
}
_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge", "value")
}
LARGEST = 2**20  # bytes of a file
MOST_VALUES = 10**5  # in a file, anchors written out
DEEPEST = 32  # levels

Places = dict[tuple[str, ...], str]  # key path -> "file:line"


def load_mapping(path: Path) -> tuple[dict[str, Any], Places]:
    """Reads a YAML mapping.

    Returns:
        The mapping, and the place of every key path.

    Raises:
        UserError: the file is missing, unreadable, not YAML, not a mapping, or repeats a key.
    """
    try:
        content = read_plain(path, LARGEST + 1)
        if len(content) > LARGEST:
            raise UserError(str(path), "is larger than 1 MiB", "a small YAML file")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(str(path), "no such file", fix="check the path") from None
    except IsADirectoryError:
        raise UserError(str(path), "is a directory", "a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(str(path), f"cannot be read ({reason})", "a readable YAML file") from None
    places: Places = {}
    try:
        data = _parse(text, str(path), places)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(where, f"not valid YAML ({_problem(error)})") from None
    except RecursionError:
        raise UserError(str(path), "is nested too deeply", "a plain mapping") from None
    except ValueError as error:  # a number of too many digits
        if isinstance(error, UserError):
            raise
        raise UserError(str(path), f"holds a value that is none ({error})") from None
    if not isinstance(data, dict):
        raise UserError(str(path), f"holds {_kind(data)}", "a mapping of keys to values")
    return data, places


def _parse(text: str, where: str, places: Places | None = None) -> Any:
    """The value of one document, once it is known to be harmless.

    places: filled with the places of its keys, of which none may stand twice.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _values(node, where, {}, 1) > MOST_VALUES:
            found = f"holds more than {MOST_VALUES:,} values, anchors written out"
            raise UserError(where, found, "a small file", "write out what is needed")
        if places is not None:  # before `<<: *other` is replaced by the keys of the other
            _collect_places(node, (), places, where)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _values(node: yaml.Node, where: str, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for, each anchor counted as often as it is used.

    known: node -> its number; 0 while it is being counted.
    """
    place = f"{where}:{node.start_mark.line + 1}"
    if id(node) in known:
        if not known[id(node)]:
            raise UserError(place, "an anchor that contains itself")
        return known[id(node)]
    if depth > DEEPEST:
        raise UserError(place, "is nested too deeply", f"at most {DEEPEST} levels")
    if node.tag not in _TAGS:
        raise UserError(place, f"found the tag {node.tag!r:.80}", "plain values")
    known[id(node)] = 0
    count = 1
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            count += sum(_values(part, where, known, depth + 1) for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        count += sum(_values(part, where, known, depth + 1) for part in node.value)
    elif any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in node.value):
        raise UserError(place, "holds a character that no file may hold", "text")
    known[id(node)] = count
    return count


def _collect_places(
    node: yaml.Node,
    path: tuple[str, ...],
    places: Places,
    file: str,
) -> None:
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
            _collect_places(value, (*path, name), places, file)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            places[(*path, str(number))] = f"{file}:{value.start_mark.line + 1}"
            _collect_places(value, (*path, str(number)), places, file)


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _kind(value: Any) -> str:
    return {type(None): "nothing", list: "a list", str: "text"}.get(type(value), "a single value")
