"""A federation of real processes: started, killed and started again, over gRPC and over MPI."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from fedml_processes import FEDERATION, LIMIT, LONGER, Processes, free_port
from harness import ROOT, contents, wait_for_the_end

from fednlp.engines.fedml import library

if library.missing():
    pytest.skip(f"make fedml installs {library.missing()}", allow_module_level=True)

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1, in both tables


@pytest.fixture
def processes(small_data, tmp_path):
    made = Processes(tmp_path, small_data({**FEDERATION, **LONGER}), free_port())
    yield made
    made.end()


def local_run(small_data, folder: Path, **changes) -> Path:
    config = folder / "local.yaml"
    config.write_text(yaml.safe_dump(small_data({**FEDERATION, **changes})))
    line = [sys.executable, str(ROOT / "run_bench.py"), "run", str(config), "engine.name=local"]
    line += ["engine.workers=1", "--out", str(folder / "local")]
    subprocess.run(line, check=True, capture_output=True, timeout=LIMIT)
    (found,) = (folder / "local").iterdir()
    return found


def weights(folder: Path) -> list[str]:
    lines = (folder / "rounds.jsonl").read_text().splitlines()
    return [json.loads(line)["weights_sha256"] for line in lines]


def run_folder(runs: Path) -> Path:
    (found,) = (p for p in runs.iterdir() if p.name != "silos")
    return found


def listeners(process: int) -> set[str]:
    """The addresses at which a process listens, as the kernel tells it, in hexadecimal."""
    own = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        match = re.match(r"socket:\[(\d+)\]", os.readlink(link))
        own |= {match[1]} if match else set()
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in own and fields[3] == "0A":
                found.add(fields[1].partition(":")[0])
    return found


def test_killed_silos_and_a_killed_server_change_no_bit(processes, small_data, tmp_path):
    """Silos first, in any order; the server is killed, a silo is killed, both begin again."""
    whole = local_run(small_data, tmp_path, **LONGER)
    first, second = processes.silo(2), processes.silo(1)
    server = processes.server()
    processes.wait_for_rounds(2)
    assert listeners(server.pid) <= LOOPBACK and listeners(server.pid)
    assert listeners(first.pid) == set()
    server.kill()
    server.wait()
    again = processes.server()
    processes.wait_for_rounds(4)
    first.kill()
    replaced = processes.silo(2)
    _, err = again.communicate(timeout=LIMIT)
    assert again.returncode == 0, err
    assert "CONNECTS" not in err and "ASKS" not in err
    for silo in (second, replaced):
        _, said = silo.communicate(timeout=LIMIT)
        assert silo.returncode == 0 and "takes part" in said
        assert "CONNECTS" not in said and "ASKS" not in said and "Traceback" not in said
    assert not processes.listening()
    assert not [p for p in processes.home.rglob("*") if "fedml" in p.name]
    found = run_folder(tmp_path / "runs")
    assert weights(found) == weights(whole)
    states = {k: v for k, v in contents(whole).items() if k.startswith("clients/")}
    assert {k: v for k, v in contents(found).items() if k.startswith("clients/")} == states


@pytest.mark.long
def test_with_min_clients_a_killed_silo_is_done_without_until_it_is_back(processes, tmp_path):
    """No round waits for it; what its clients keep is collected when it is there again."""
    processes.silo(1)
    killed = processes.silo(2)
    server = processes.server("engine.min_clients=1", "engine.round_timeout=200")
    processes.wait_for_rounds(2)
    killed.kill()
    killed.wait()
    processes.wait_for_rounds(8)
    back = processes.silo(2)
    _, err = server.communicate(timeout=LIMIT)
    assert server.returncode == 0, err
    _, said = back.communicate(timeout=LIMIT)
    assert back.returncode == 0 and "takes part" in said
    lines = (run_folder(tmp_path / "runs") / "rounds.jsonl").read_text().splitlines()
    missing = [json.loads(line).get("missing", {}) for line in lines]
    assert len(lines) == LONGER["rounds"] and not missing[0] and any(missing)
    whys = [why for one in missing for why in one.values()]
    assert all(why.startswith("silo 2 (") and "is gone (it" in why for why in whys)


@pytest.mark.long
def test_disagreement_and_interrupts_are_a_line_on_each_side(processes):
    server = processes.server()
    wrong = processes.silo(1, "client.lr=0.2")
    _, said = wrong.communicate(timeout=LIMIT)
    assert wrong.returncode == 2
    (line,) = [one for one in said.splitlines() if one.startswith("error: ")]
    assert "client.lr is 0.1 there and 0.2 here" in line
    right = [processes.silo(1), processes.silo(2)]
    processes.wait_for_rounds(1)
    server.send_signal(signal.SIGTERM)
    _, err = server.communicate(timeout=LIMIT)
    assert server.returncode == 143 and "Traceback" not in err
    assert "refused: silo 1 (" in err and "client.lr is 0.2 there and 0.1 here" in err
    assert err.splitlines()[-1] == "ended by SIGTERM; the same command continues"
    for silo in right:
        silo.send_signal(signal.SIGINT)
        _, said = silo.communicate(timeout=LIMIT)
        assert silo.returncode == 130 and said.splitlines()[-1] == "interrupted"
    alone = processes.silo(1, "engine.timeout=5")
    _, said = alone.communicate(timeout=LIMIT)
    assert alone.returncode == 2 and "error: the server: cannot be reached (" in said


def mpirun(folder: Path, data: dict, *more: str) -> subprocess.Popen:
    config = folder / "mpi.yaml"
    config.write_text(yaml.safe_dump(data))
    program = str(Path(sys.executable).parent / "mpirun")
    command = [program, "-n", "3", sys.executable, str(ROOT / "run_bench.py"), "run", str(config)]
    return subprocess.Popen(
        [*command, *more, "--out", str(folder / "mpi")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ranks_of(argument: str) -> dict[int, int]:
    """MPI rank -> process, of those whose command line has `argument`."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes().split(b"\0")
            line = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        ranks = [e[9:] for e in environment if e.startswith(b"PMI_RANK=")]
        if ranks and argument.encode() in line:
            found[int(ranks[0])] = int(path.parent.name)
    return found


def ranks_in_a_round(out: Path) -> dict[int, int]:
    deadline = time.monotonic() + LIMIT
    while not list(out.glob("*/rounds.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return ranks_of(str(out))


def test_mpi_makes_the_local_engines_bits(small_data, tmp_path):
    """Two seeds, so that silos go from one run to the next."""
    whole = local_run(small_data, tmp_path, algorithm="fedavg")
    data = small_data({**FEDERATION, "algorithm": "fedavg"})
    started = mpirun(tmp_path, data, "--seeds", "0,1")
    out, err = started.communicate(timeout=LIMIT)
    assert started.returncode == 0 and "Traceback" not in out + err, err
    found = sorted((tmp_path / "mpi").iterdir())
    assert len(found) == 2 and weights(found[0]) == weights(whole)
    assert weights(found[1]) != weights(whole)


@pytest.mark.long
def test_mpi_ends_as_a_whole_and_continues(small_data, tmp_path):
    data = small_data({**FEDERATION, **LONGER})
    started = mpirun(tmp_path, data)
    ranks = ranks_in_a_round(tmp_path / "mpi")
    os.kill(ranks[2], signal.SIGKILL)
    started.communicate(timeout=LIMIT)
    assert started.returncode != 0
    for process in ranks.values():
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    again = mpirun(tmp_path, data)
    _, err = again.communicate(timeout=LIMIT)
    assert again.returncode == 0, err
    whole = local_run(small_data, tmp_path, **LONGER)
    assert weights(run_folder(tmp_path / "mpi")) == weights(whole)


@pytest.mark.parametrize(
    "needed", [{"engine.min_clients": 1}, pytest.param({}, marks=pytest.mark.long)]
)
def test_a_silo_that_stands_still_holds_up_no_end(needed, small_data, tmp_path):
    """MPI ends in all processes at once, and one that is stopped never does by itself."""
    limits = {"engine.timeout": 5.0, "engine.round_timeout": 20.0, "algorithm": "fedavg"}
    data = small_data({**FEDERATION, **LONGER, **limits, **needed})
    started = mpirun(tmp_path, data)
    ranks = ranks_in_a_round(tmp_path / "mpi")
    os.kill(ranks[2], signal.SIGSTOP)
    out, err = started.communicate(timeout=LIMIT)
    if needed:
        assert "run folders" in out and started.returncode == 0, err
        last = json.loads(
            (run_folder(tmp_path / "mpi") / "rounds.jsonl").read_text().splitlines()[-1]
        )
        assert "silo 2" in " ".join(last["missing"].values())
    else:
        assert started.returncode == 2
        assert "silo 2" in next(line for line in err.splitlines() if line.startswith("error: "))
    wait_for_the_end(ranks.values())


@pytest.mark.long
@pytest.mark.parametrize(
    ("algorithm", "aggregation"), [("fedadam", "fast"), ("scaffold", "fast"), ("fedavg", "exact")]
)
def test_fedmls_own_cross_silo_gives_the_same_weights(algorithm, aggregation, small_data, tmp_path):
    engine = {**FEDERATION["engine"], "aggregation": aggregation}
    changes = {"algorithm": algorithm, "partition.clients": 3, "engine": engine}
    whole = local_run(small_data, tmp_path, **changes)
    config, home = tmp_path / "local.yaml", tmp_path / "home"
    home.mkdir()
    program = str(Path(sys.executable).parent / "mpirun")
    done = subprocess.run(
        [program, "-n", "4", sys.executable, str(ROOT / "examples/fedml_cross_silo.py"), config],
        env={**os.environ, "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, weights(whole)[-1:]), done.stderr
    assert not [path for path in home.rglob("*") if "fedml" in path.name]
