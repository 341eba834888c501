"""The package is of use where neither torch nor transformers nor the rest of the house is."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from partitioners import make_partition

ROOT = Path(__file__).resolve().parents[2]


def test_partitioners_need_numpy_scipy_and_scikit_learn_only():
    script = Path(__file__).with_name("alone.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    labels = np.arange(200) % 5
    same = make_partition(
        "dirichlet", {"alpha": 0.1}, clients=10, seed=0,
        train_labels=labels, test_labels=labels[:50],
    )  # fmt: skip
    assert done.stdout.split() == [same.checksum]
