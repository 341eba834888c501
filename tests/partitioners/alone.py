"""Run as a script: uses `partitioners` where its neighbours and all optional libraries are missing.

Prints the checksum of a partition. Only numpy, SciPy and scikit-learn may be imported.
"""

import importlib
import pkgutil
import sys

MISSING = {
    *("torch", "transformers", "tokenizers", "datasets", "pandas", "pyarrow", "h5py"),
    *("matplotlib", "flwr_datasets", "pydantic", "yaml", "tasks", "fednlp", "algorithms"),
}


class Missing:
    """Finds none of them, whether they are installed or not."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing)
for name in MISSING:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} was to be missing")

import numpy as np  # noqa: E402

import partitioners  # noqa: E402
from partitioners import dirichlet, make_partition  # noqa: E402

for module in pkgutil.walk_packages(partitioners.__path__, "partitioners."):
    importlib.import_module(module.name)

labels = np.arange(200) % 5
assert dirichlet(labels, 10, np.random.default_rng(0), alpha=0.1).sizes().tolist() == [20] * 10
texts = [f"w{number % 7} w{number % 3}" for number in range(200)]
train, test = partitioners.text_features(texts, texts[:50], 8, 0)
partition = make_partition(
    "cluster", {"alpha": 0.1, "clusters": 4}, clients=10, seed=0,
    train_labels=labels, test_labels=labels[:50], train_features=train, test_features=test,
)  # fmt: skip
assert partition.provenance["achieved"]["train_examples"] == 200
plain = make_partition(
    "dirichlet", {"alpha": 0.1}, clients=10, seed=0, train_labels=labels, test_labels=labels[:50]
)
print(plain.checksum)
