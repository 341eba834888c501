"""What is wrong with a configuration, in one line: where, what was found, what was expected."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ValidationError

from fednlp.config_schema import SHORT_FORMS, RunConfig, Section
from fednlp.errors import UserError, nearest
from fednlp.yaml_files import Places


def explained(error: ValidationError, where: str, places: Places) -> UserError:
    """The first of pydantic's errors; a misspelt key comes before what it leaves missing."""
    errors = error.errors(include_url=False)
    first = min(errors, key=lambda e: e["type"] not in ("extra_forbidden", "invalid_key"))
    path = _without_tags(first["loc"])
    key = ".".join(path) or "the configuration"
    known = (places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in places)
    place = f"{next(known, where)}: {key}"
    if first["type"] == "extra_forbidden":
        return UserError(place, "unknown key", fix=nearest(path[-1], _known_keys(path[:-1])))
    if first["type"] == "missing":
        return UserError(place, "is missing", fix="add it")
    same = [_message(e["type"], e["msg"], path) for e in errors if _without_tags(e["loc"]) == path]
    messages = [message[0].lower() + message[1:] for message in same]
    wanted = dict.fromkeys(message.replace("input should be ", "") for message in messages)
    return UserError(place, f"found {first['input']!r}", " or ".join(wanted))


def _message(kind: str, message: str, path: tuple[str, ...]) -> str:
    """What pydantic says, without the name of a class of ours."""
    if kind != "model_type":
        return message
    named = len(path) == 1 and path[0] in SHORT_FORMS
    return "a name or a mapping with a name" if named else "a mapping of keys to values"


def _without_tags(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The keys of a place, without what pydantic calls the branches of a union."""
    return tuple(
        str(part)
        for part in location
        if not re.fullmatch(r"(constrained-)?(int|float|str|bool)|\w+\[.*\]", str(part))
    )


def _known_keys(path: tuple[str, ...]) -> list[str]:
    model: Any = RunConfig
    for part in path:
        model = model.model_fields[part].annotation
        candidates = [model, *getattr(model, "__args__", ())]
        model = next(
            (c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), Section
        )
    return list(model.model_fields)
