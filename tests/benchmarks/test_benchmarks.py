"""Every benchmark runs at toy size and prints its table. Times are not judged here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
FLOWER = ROOT / os.environ.get("FEDNLP_PEERS", ".venv-peers") / "flwr-datasets" / "bin" / "python"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("overhead", ["tiny, no clipping", "tiny, clipping"]),
        ("usual_way", ["the usual way", "fused optimizer", "the harness", "Clients with sgd"]),
        ("memory", ["| 4 |", "| 20 |"]),
        ("partition_speed", ["| dirichlet, 1,000 classes, 1,000 clients |", "of the last decade"]),
        ("scale", ["| read and check |", "| one round |", "250 clients"]),
        pytest.param(
            "peers.flower_partitioning",
            ["| 10 |", "| 100 |", "raises", "flwr-datasets 0.6.1"],
            marks=pytest.mark.skipif(
                not FLOWER.exists(), reason="no environment: run `make flower`"
            ),
        ),
        ("compile", ["| the harness as it is |", "Compiling took"]),
        ("gpu", ["| smoke, full, 2 x 8 |", "| smoke, LoRA, 2 x 16 |", "graphs / eager"]),
        ("partition_round_trips", ["| h5 | all | all | all | all |", "| csv | shares | shares |"]),
        ("leaderboard_scale", ["| all runs, first |", "| 2 runs more |", "no page over 2,000 kB"]),
        ("distributed", ["| 2 processes |", "Share of the ceiling", "| counted by", "| 64 |"]),
        ("partition_formats", ["| h5, 250 clients |", "| csv, 2 clients |", "| leaf, 2 clients |"]),
    ],
)
def test_a_benchmark_prints_its_table(name, rows, cache):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FEDNLP_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--smoke"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| :-- | --: |" in done.stdout
    assert f"python -m benchmarks.{name} --smoke" in done.stdout
    for row in rows:
        assert row in done.stdout
    assert not any(str(ROOT) in line for line in done.stdout.splitlines())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_without_a_gpu_its_benchmark_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("gpu: no CUDA device is usable here")
