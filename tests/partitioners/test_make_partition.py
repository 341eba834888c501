from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import partitioners
from partitioners import PARTITIONERS, PartitionError, find_partitioner, make_partition

LABELS = np.arange(400) % 8
BASE: dict = {"clients": 20, "seed": 0, "train_labels": LABELS, "test_labels": LABELS[:160]}
SETTINGS: dict[str, dict] = {
    "uniform": {},
    "dirichlet": {"alpha": 1},
    "dirichlet_per_class": {"alpha": 0.5},
    "label_shards": {},
    "quantity": {"alpha": 2.0},
    "cluster": {"alpha": 0.5, "clusters": 3},
    "natural": {},
    "legacy_fednlp": {"alpha": 1.0},
}
INPUTS = {
    "train_features": np.random.default_rng(0).normal(size=(400, 3)),
    "test_features": np.random.default_rng(1).normal(size=(160, 3)),
    "train_keys": [f"user {i % 25}" for i in range(400)],
    "test_keys": [f"user {i % 25}" for i in range(160)],
}


@pytest.mark.parametrize("name", PARTITIONERS)
def test_provenance_is_complete_and_json_plain(name: str) -> None:
    made = make_partition(
        name,
        SETTINGS[name],
        **BASE,
        **INPUTS,
        min_size=2,
        held_out=0.2,
        data_fingerprint="abc",
        skew_kind="label",
    )
    record = made.provenance
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert set(record) == {
        *("partitioner", "parameters", "clients", "seed", "min_size", "held_out", "version"),
        *("data_fingerprint", "skew", "test_share", "achieved"),
    }
    fields = {item.name for item in dataclasses.fields(PARTITIONERS[name].parameters)}
    assert set(record["parameters"]) == fields
    assert record["partitioner"] == name and record["clients"] == made.clients == 20
    assert record["data_fingerprint"] == "abc" and len(made.held_out) == 4
    assert record["skew"] == ("cluster" if name == "cluster" else "label")
    shares = {"natural": "natural_key", "legacy_fednlp": "independent"}
    assert record["test_share"] == shares.get(name, "skew_label")
    achieved = record["achieved"]
    assert achieved["sizes"]["min"] >= 2 and achieved["train_examples"] == 400
    assert {"js_distance", "js_distance_stderr", "total_variation", "missing_labels"} <= set(
        achieved
    )
    assert set(made.splits) == {"train", "test"}
    again = make_partition(name, SETTINGS[name], **BASE, **INPUTS, min_size=2, held_out=0.2)
    assert again.checksum == made.checksum


def test_specs_describe_themselves() -> None:
    assert set(SETTINGS) == set(PARTITIONERS)
    for name, spec in PARTITIONERS.items():
        assert spec.split.__name__ == name and spec.split is getattr(partitioners, name)
        assert spec.needs <= {"labels", "features", "keys"} and len(spec.needs) <= 1
        assert spec.summary and spec.paper and "\n" not in spec.summary + spec.paper
        assert dataclasses.is_dataclass(spec.parameters) and "2" in spec.paper
        module = sys.modules[f"partitioners.{name}"]
        assert "generator" in module.__doc__ or "rng" in module.__doc__


def test_names_and_settings_are_checked_before_data() -> None:
    with pytest.raises(PartitionError, match="did you mean dirichlet"):
        find_partitioner("dirichelt")
    with pytest.raises(PartitionError, match=r"partition\.alhpa.*did you mean alpha"):
        PARTITIONERS["dirichlet"].read({"alhpa": 1.0})
    with pytest.raises(PartitionError, match=r"partition\.alpha: missing"):
        PARTITIONERS["cluster"].read({})
    with pytest.raises(PartitionError, match="no parameters"):
        PARTITIONERS["uniform"].read({"alpha": 1.0})
    with pytest.raises(PartitionError, match=r"0\.001"):
        PARTITIONERS["quantity"].read({"alpha": "1e-3"})
    assert PARTITIONERS["label_shards"].read({}).labels_per_client == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        PARTITIONERS["dirichlet"].read({"alpha": 1}).alpha = 2


def test_held_out_clients_are_seeded_nested_and_move_nothing() -> None:
    def make(**changes: object) -> partitioners.Partition:
        return make_partition("dirichlet", {"alpha": 0.5}, **(BASE | changes))

    none, some, more = make(), make(held_out=0.1), make(held_out=0.5)
    assert len(none.held_out) == 0 and len(some.held_out) == 2 and len(more.held_out) == 10
    assert set(some.held_out) < set(more.held_out)
    for made in (some, more):
        assert (made.splits["train"].indices == none.splits["train"].indices).all()
        assert (made.splits["test"].indices == none.splits["test"].indices).all()
        assert (made.splits["train"].sizes()[made.held_out] > 0).all()
    assert len(make(held_out=0.001).held_out) == 1
    chosen = {tuple(make(seed=s, held_out=0.1).held_out) for s in range(5)}
    assert len(chosen) > 1
    for bad in (1.0, -0.1, float("nan"), "half", True):
        with pytest.raises(PartitionError, match=r"partition\.held_out"):
            make(held_out=bad)
    with pytest.raises(PartitionError, match="leaves none"):
        make(clients=2, held_out=0.9)


@pytest.mark.parametrize(
    ("name", "changes", "where"),
    [
        ("cluster", {}, "train_features"),
        ("natural", {}, "train_keys"),
        ("natural", {"train_keys": ["a"]}, "train_keys"),
        ("cluster", {"train_features": np.ones((3, 2))}, "train_features"),
        ("uniform", {"clients": 500}, "partition.clients"),
        ("uniform", {"min_size": 30}, "partition.clients"),
        ("uniform", {"min_size": 0}, "partition.min_size"),
        ("uniform", {"seed": 0.5}, "partition.seed"),
        ("uniform", {"train_labels": np.ones(4)}, "train_labels"),
        ("uniform", {"train_labels": np.zeros(0, int)}, "partition.clients"),
    ],
)
def test_impossible_requests_name_the_key(name: str, changes: dict, where: str) -> None:
    with pytest.raises(PartitionError) as caught:
        make_partition(name, SETTINGS[name], **(BASE | changes))
    assert where in caught.value.where and "\n" not in str(caught.value)


def test_import_is_light_and_names_are_functions() -> None:
    script = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('torch', 'transformers'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "import partitioners.dirichlet, partitioners;"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'scipy', 'pandas'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert callable(partitioners.dirichlet) and callable(partitioners.text_features);"
        "import numpy as np;"
        "train, test = partitioners.text_features(['a b', 'c d'], ['a'], dimensions=2);"
        "partitioners.make_partition('cluster', {'alpha': 1, 'clusters': 2}, clients=2, seed=0,"
        " train_labels=np.zeros(2, int), test_labels=np.zeros(1, int),"
        " train_features=train, test_features=test)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_partition_is_the_same_in_another_process() -> None:
    script = (
        "import numpy as np; from partitioners import make_partition; l = np.arange(400) % 8;"
        "print(make_partition('dirichlet', {'alpha': 0.5}, clients=20, seed=0,"
        " train_labels=l, test_labels=l[:160]).checksum)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == make_partition("dirichlet", {"alpha": 0.5}, **BASE).checksum


def test_error_survives_pickling_between_workers() -> None:
    import pickle

    error = PartitionError("partition.alpha", "0", "above 0", "raise it")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "partition.alpha: 0; expected above 0; raise it"
    assert (again.where, again.found, again.expected, again.fix) == (
        *("partition.alpha", "0", "above 0", "raise it"),
    )
