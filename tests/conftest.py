"""What all tests share: no network, one thread, one cache, and a configuration of seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from fuzzing import times
from hypothesis import settings
from small_disk import mounted

# Before anything imports torch or the hub's client, which read these once.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_DATASETS_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",
    MKL_NUM_THREADS="1",
    TORCH_CPP_LOG_LEVEL="ERROR",
)
settings.register_profile("fuzz", max_examples=times(100), print_blob=True)
settings.load_profile("fuzz")

SMALL: dict[str, Any] = {
    "dataset": {
        "name": "synthetic_topics",
        "sizes": {"train": 96, "validation": 24, "test": 80},
    },
    "model": {"name": "tiny"},
    "partition": {"name": "uniform", "clients": 4},
    "algorithm": {"name": "fedavg"},
    "client": {"optimizer": "sgd", "lr": 0.1, "batch_size": 8},
    "sampling": {"clients_per_round": 2},
    "rounds": 2,
    "tokens": {"max_length": 48, "doc_stride": 16, "max_target_length": 8},
}


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes name no case: a gzip holds the time it was made, so each worker would name its own."""
    return "bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of tokens and tokenizers: one per session, also for subprocesses and workers."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / "fednlp-cache"
    folder.mkdir(exist_ok=True)
    os.environ["FEDNLP_CACHE"] = str(folder)
    return folder


def small_mapping(**changes: Any) -> dict[str, Any]:
    """`SMALL` as plain data with dotted keys changed: `small_mapping(**{"client.lr": 1.0})`."""
    from fednlp import config as configuration

    data = deepcopy(SMALL)
    for key, value in changes.items():
        configuration.override(data, key, value)
    return data


@pytest.fixture(scope="session")
def small_config():
    """A function: a run that takes about a second, with dotted keys (or sections) changed."""
    from fednlp import config as configuration

    def make(changes: dict[str, Any] | None = None, **more: Any):
        return configuration.build(small_mapping(**{**(changes or {}), **more}), "a test")

    return make


@pytest.fixture(scope="session")
def small_data():
    """The same as plain data, for files."""

    def make(changes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        return small_mapping(**{**(changes or {}), **more})

    return make


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with mounted(tmp_path / "disk") as point:
        yield point
