"""Our partitions in Flower's own classes, in Flower's own environment (`make flower`)."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flower_data import CLIENTS, COLUMNS, write_flower_data

from partitioners import Partition, PartitionError, Split
from partitioners.formats import flower

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "benchmarks" / "peers" / "setup.sh"
PYTHON = ROOT / os.environ.get("FEDNLP_PEERS", ".venv-peers") / "flwr-datasets" / "bin" / "python"
CASES = Path(__file__).with_name("flower_cases.py")
NAMES = re.findall(r"^def (test_\w+)", CASES.read_text(encoding="utf-8"), re.MULTILINE)

needs_flower = pytest.mark.skipif(not PYTHON.exists(), reason="no environment: run `make flower`")


def in_flower(arguments, **environment):
    """Runs Flower's Python from the repository's root, without a network or a report of its use."""
    return subprocess.run(
        [PYTHON, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FLWR_TELEMETRY_ENABLED": "0", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Name of a case -> what went wrong in it, "" for nothing."""
    folder = tmp_path_factory.mktemp("flower")
    write_flower_data(folder)
    done = in_flower(
        ["-m", "pytest", "--noconftest", "-p", "no:cacheprovider", f"--junitxml={folder}/cases.xml",
         f"--basetemp={folder}/temporary", str(CASES)],
        FLOWER_DATA=str(folder), HF_HOME=str(folder / "hub"),
    )  # fmt: skip
    assert (folder / "cases.xml").exists(), done.stdout + done.stderr
    found = dict.fromkeys(NAMES, "was not run: " + done.stdout[-2000:])
    for case in ElementTree.parse(folder / "cases.xml").iter("testcase"):
        name = case.attrib["name"].partition("[")[0]
        told = "".join(entry.text or entry.tag for entry in case)
        found[name] = ("" if found[name].startswith("was not run") else found[name]) + told
    return found


@needs_flower
@pytest.mark.parametrize("name", NAMES)
def test_in_flower(name, outcomes):
    assert not outcomes[name], outcomes[name]


@needs_flower
def test_partitioners_are_usable_in_its_environment():
    """Where torch and transformers really are not installed; the same partition comes out."""
    script = ROOT / "tests" / "partitioners" / "alone.py"
    theirs = in_flower([str(script)])
    ours = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert theirs.returncode == 0, theirs.stderr
    assert theirs.stdout == ours.stdout and len(ours.stdout.split()) == 1


def test_the_data_of_the_cases_can_be_made(tmp_path):
    """In every environment, or the cases would fail where nobody sees it."""
    write_flower_data(tmp_path)
    for task in COLUMNS:
        shares = Partition.load(tmp_path / task / "partition.npz").splits["train"]
        assert shares.hashes is not None and shares.clients == CLIENTS


def test_its_absence_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "flwr_datasets", None)
    flower._partitioner_class.cache_clear()
    with pytest.raises(PartitionError, match="make flower") as error:
        flower.flower_partitioner(Partition({"train": Split([0], [0, 1])}, {}))
    assert "\n" not in str(error.value)


def test_a_file_or_shares_that_are_not_there_are_one_line(tmp_path):
    with pytest.raises(PartitionError, match="no such file"):
        flower.flower_partitioner(tmp_path)
    with pytest.raises(PartitionError, match="no validation shares; expected one of train"):
        flower.flower_partitioner(Partition({"train": Split([0], [0, 1])}, {}), "validation")


def setup(tmp_path, peer="flwr-datasets", **environment):
    return subprocess.run(
        ["sh", str(SETUP), peer],
        env={**os.environ, "PYTHON": sys.executable, "FEDNLP_PEERS": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def refusal(done):
    """What a failed set-up says last, which is one line of its own."""
    assert done.returncode == 2 and not done.stdout
    said = [line for line in done.stderr.splitlines() if "which takes some minutes" not in line]
    assert len(said) == 1 and said[0].startswith("setup.sh: ")
    return said[0]


def test_setup_says_in_one_line_what_is_wrong(tmp_path):
    assert "known: flwr-datasets flwr pfl fedml" in refusal(setup(tmp_path, "flowers"))
    assert "set PYTHON" in refusal(setup(tmp_path, PYTHON="no-python-here"))
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\ncase "$2" in *version_info*) exit 1 ;; esac\n')
    old.chmod(0o755)
    assert "needs Python 3.11" in refusal(setup(tmp_path, PYTHON=str(old)))
    (tmp_path / "file").touch()
    assert "FEDNLP_PEERS" in refusal(setup(tmp_path / "file" / "below"))
    assert not (tmp_path / "flwr-datasets").exists()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="flwr-datasets needs Python 3.11")
def test_setup_without_a_registry_is_one_line_and_leaves_it_unfinished(tmp_path):
    """A later call then does not take what is half there for whole."""
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0",
               "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}  # fmt: skip
    said = refusal(setup(tmp_path, **nowhere))
    assert "No matching distribution" in said and "flwr-datasets.log" in said
    assert not (tmp_path / "flwr-datasets" / "packages.txt").exists()


@needs_flower
def test_setup_is_safe_to_run_twice():
    done = setup(PYTHON.parents[2], PYTHON="no-python-here")  # it would have to make it anew
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
