"""The keys of a configuration as the reference page names them: types, bounds, defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from fednlp.config_schema import RunConfig

_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def keys() -> Iterator[tuple[str, str, str]]:
    """(dotted key, type, default) of every leaf of `RunConfig`, in order."""
    schema = RunConfig.model_json_schema()
    yield from _leaves(RunConfig, schema, schema["$defs"], "")


def _leaves(
    model: type[BaseModel], schema: dict[str, Any], parts: dict[str, Any], prefix: str
) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        inner, kind = _section(field.annotation), schema["properties"][name]
        if inner is None:
            yield (
                prefix + name,
                type_text(kind),
                default_text(field.get_default(call_default_factory=True)),
            )
            continue
        if type(None) in getattr(field.annotation, "__args__", ()):
            yield (
                prefix + name,
                "section or null",
                default_text(field.get_default(call_default_factory=True)),
            )
        yield from _leaves(inner, parts[inner.__name__], parts, f"{prefix}{name}.")


def _section(annotation: Any) -> type[BaseModel] | None:
    for part in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def default_text(value: Any) -> str:
    """A default as it would stand in YAML, or `required`."""
    if value is PydanticUndefined:
        return "required"
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


def type_text(schema: dict[str, Any]) -> str:
    """A JSON schema in words: `integer > 0 or null`."""
    if "anyOf" in schema:
        return " or ".join(type_text(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = {"integer": "integer", "number": "number", "string": "text", "null": "null"}
    if schema["type"] == "array":
        return f"list of {type_text(schema['items'])}"
    if schema["type"] == "object":
        values = schema.get("additionalProperties")
        inside = f" to {type_text(values)}" if isinstance(values, dict) else ""
        names = schema.get("propertyNames", {}).get("enum")
        return f"{', '.join(f'`{n}`' for n in names)}{inside}" if names else f"mapping{inside}"
    if schema["type"] == "boolean":
        return "`true`, `false`"
    bounds = [
        f"{sign} {number_text(schema[key])}" for key, sign in _BOUNDS.items() if key in schema
    ]
    return " ".join([kind[schema["type"]], ", ".join(bounds)]).strip()


def number_text(value: float) -> str:
    """A bound as it is read best: 50, 1e9, 2^62."""
    if value > 2**32 and value == 2 ** (int(value).bit_length() - 1):
        return f"2^{int(value).bit_length() - 1}"
    return f"{value:g}".replace("e+0", "e") if value >= 10**6 else f"{value:g}"
