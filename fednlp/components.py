"""From names in a configuration to algorithm, server optimizer and partitioner objects.

The typed fields of a component's dataclass are its parameters; an unknown one stops the program
and names the nearest known one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from algorithms import ALGORITHMS, SERVER_OPTIMIZERS
from algorithms.algorithm import Algorithm, ClientOptimizer
from fednlp.config_schema import ClientConfig, RunConfig
from fednlp.errors import UserError, is_user_error, nearest, relocated
from fednlp.hooks import Hooks, blaming, is_published, source_place
from fednlp.source_code import canonical
from tasks.plain_files import kind_of


def algorithm_class(name: str) -> type[Algorithm]:
    """A published method by name, or a third party's by `path/to/file.py:Class`."""
    if ":" not in name:
        known = _plain(name)
        if known not in ALGORITHMS:
            raise UserError(
                "algorithm.name",
                f"unknown algorithm '{name}'",
                fix=nearest(known, list(ALGORITHMS)),
            )
        return ALGORITHMS[known]
    file, _, attribute = name.rpartition(":")
    path = Path(file)
    if kind_of(path, "algorithm.name") != "file":
        raise UserError("algorithm.name", f"no such file '{file}'", "path/to/file.py:Class")
    module_name = f"fednlp_method_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise UserError("algorithm.name", f"'{file}' is not a Python file", "path/to/file.py:Class")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = (
            next(
                (
                    f":{frame.lineno}"
                    for frame in reversed(inspect.getinnerframes(error.__traceback__))
                    if frame.filename == str(path)
                ),
                "",
            )
            if error.__traceback__
            else ""
        )
        raise UserError(f"{file}{line}", f"{type(error).__name__}: {error}") from None
    found = getattr(module, attribute, None)
    if not (isinstance(found, type) and issubclass(found, Algorithm)):
        names = [
            n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Algorithm)
        ]
        raise UserError(
            file, f"'{attribute}' is not an algorithm in it", fix=nearest(attribute, names)
        )
    return found


def _plain(name: str) -> str:
    """Papers write FedAvg, files write fedavg."""
    return name.lower().replace("-", "_")


def make(cls: type, parameters: dict[str, Any], where: str) -> Any:
    """Builds a dataclass from YAML values, checked against its typed fields."""
    with blaming(cls, "__init__", where):
        hints = get_type_hints(cls)
    fields = {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.init}
    if inspect.isabstract(cls):
        unwritten = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise UserError(where, f"{cls.__name__} does not write {unwritten}", fix="write them")
    settable = [name for name in fields if (where, name) != ("algorithm", "server")]
    values: dict[str, Any] = {}
    for key, value in parameters.items():
        if key not in fields:
            raise UserError(f"{where}.{key}", "unknown key", fix=nearest(key, settable))
        try:
            adapter = (
                TypeAdapter(
                    fields[key], config=ConfigDict(strict=True, arbitrary_types_allowed=True)
                )
                if not dataclasses.is_dataclass(fields[key])
                else TypeAdapter(fields[key])
            )
            values[key] = adapter.validate_python(value)
        except ValidationError as error:
            message = (
                error.errors(include_url=False)[0]["msg"].lower().replace("input should be ", "")
            )
            raise UserError(f"{where}.{key}", f"found {value!r}", message) from None
    for f in dataclasses.fields(cls):
        optional = (f.default, f.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
        if f.init and f.name not in values and not optional:
            raise UserError(f"{where}.{f.name}", "is missing", fix="add it")
    try:
        with blaming(cls, "__post_init__", where):
            return cls(**values)
    except ValueError as error:
        if is_user_error(error):
            raise relocated(error, f"{where}.") from None
        raise UserError(where, str(error)) from None


def client_optimizer(client: ClientConfig) -> ClientOptimizer:
    """What an algorithm may know of the client optimizer."""
    return ClientOptimizer(client.optimizer, client.lr, client.momentum, client.weight_decay)


def build_algorithm(config: RunConfig) -> Algorithm:
    """The algorithm with its parameters and server optimizer, compatible with the client's.

    Raises:
        UserError, AlgorithmError: an unknown name or parameter, or an impossible combination.
    """
    cls = algorithm_class(config.algorithm.name)
    if "server" in config.algorithm.parameters:
        raise UserError("algorithm.server", "unknown key", fix="use the section 'server'")
    algorithm: Any = make(cls, config.algorithm.parameters, "algorithm")
    _require_plain_fields(algorithm)
    if config.server.optimizer is not None or config.server.parameters:
        if not hasattr(algorithm, "server"):
            name = config.algorithm.name
            raise UserError("server", f"{name} has no server optimizer", fix="drop it")
        server = _server_optimizer(config, type(algorithm.server))
        algorithm = dataclasses.replace(algorithm, server=server)
    if algorithm.uniform_sampling_only and config.sampling.name != "uniform":
        raise UserError(
            "sampling.name",
            f"'{config.sampling.name}' under {config.algorithm.name}, whose server keeps a mean "
            "over all clients",
            "uniform",
        )
    Hooks(algorithm).check(client_optimizer(config.client))
    return algorithm


def _require_plain_fields(algorithm: Algorithm) -> None:
    """A method's fields stand in its run's identity and result, which are JSON."""
    cls = type(algorithm)
    for name, value in describe(algorithm).items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            raise UserError(
                f"algorithm.{name}" if is_published(cls) else source_place(cls, name),
                f"a field of value {value!r:.80}",
                "plain data: finite numbers, text, lists, mappings",
                "make other objects in a hook",
            ) from None


def _server_optimizer(config: RunConfig, default: type) -> Any:
    kind, name = default, config.server.optimizer
    if name is not None:
        if _plain(name) not in SERVER_OPTIMIZERS:
            raise UserError(
                "server.optimizer",
                f"unknown optimizer '{name}'",
                fix=nearest(_plain(name), list(SERVER_OPTIMIZERS)),
            )
        kind = SERVER_OPTIMIZERS[_plain(name)]
        if kind is not default and default is not SERVER_OPTIMIZERS["sgd"]:
            raise UserError(
                "server.optimizer",
                f"'{name}' under {config.algorithm.name}, which is named after its own",
                "no server.optimizer",
                "use algorithm fedavg to choose one",
            )
    return make(kind, config.server.parameters, "server")


def describe(component: Any) -> dict[str, Any]:
    """A component as plain data: its name and every parameter, defaults included."""
    fields = {
        f.name: describe(v) if dataclasses.is_dataclass(v := getattr(component, f.name)) else v
        for f in dataclasses.fields(component)
    }
    return {"name": type(component).__name__, **fields}


def source_hash(algorithm: Algorithm) -> str:
    """SHA-256 of the code of a method, its server optimizer and their bases.

    Comments, docstrings and the version of Python do not count; nor does the standard library.
    """
    classes = [*type(algorithm).__mro__]
    classes += [c for v in vars(algorithm).values() for c in type(v).__mro__]
    modules = {c.__module__ for c in classes}
    digest = hashlib.sha256()
    for name in sorted(modules):
        if name.startswith(("algorithms", "fednlp_method_")):
            digest.update(canonical(inspect.getsource(sys.modules[name])).encode())
    return digest.hexdigest()
