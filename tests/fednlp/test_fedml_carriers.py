"""The carriers themselves, over sockets and over MPI: what they refuse, bound, and tell at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch
from harness import ROOT

from fednlp.engines.fedml import library

if library.missing():
    pytest.skip(f"make fedml installs {library.missing()}", allow_module_level=True)

from fedml_sockets import LIMIT, WAIT, Seen, connected, connection, hello

from fednlp.engines.fedml.codec import encode
from fednlp.engines.fedml.grpc import GrpcServer, GrpcSilo
from fednlp.engines.fedml.heartbeat import Heartbeat
from fednlp.engines.fedml.hub import Hub
from fednlp.engines.fedml.inbox import MOST, Inbox
from fednlp.engines.fedml.messages import Alive, ClientState, message, pack
from fednlp.engines.fedml.outbox import MOST as FRAMES
from fednlp.engines.fedml.outbox import Outbox
from fednlp.engines.fedml.transport import SERVER, Unreachable
from fednlp.errors import UserError


def state(size: int) -> tuple:
    body = ClientState(run="r", client=0, round=0, why=None)
    return message(body, 1, SERVER, {"control": torch.zeros(size)})


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x80\x04" + bytes(100), "not a frame of this program"),
        (b"FN", "begins with 2 bytes"),
        (encode({}, {"a": torch.zeros(LIMIT)}), f"above the limit of {LIMIT}"),
        (encode({"kind": "hello", "name": "x"}) + b"more", "bytes of a frame of"),
    ],
)
def test_over_a_socket_what_is_no_frame_ends_the_stream_and_the_silo_connects_again(frame, reason):
    with connection() as (server, silo):
        seen = Seen(server)
        connected(silo)
        silo._outbox.put(frame)
        assert reason in seen.until("rejected").why
        assert seen.until("lost").why == "what it sent was no message"
        end = time.monotonic() + WAIT
        while not server.peers() and time.monotonic() < end:
            time.sleep(0.01)
        connected(silo)
        hello(silo)
        assert seen.until("hello").name == "a silo"


def test_over_a_socket_a_frame_that_cannot_be_read_costs_that_frame_alone():
    with connection() as (server, silo):
        seen = Seen(server)
        connected(silo)
        silo._outbox.put(encode({"kind": "hello", "name": 3}))
        assert "'hello' whose name" in seen.until("rejected").why
        hello(silo)
        assert seen.until("hello").name == "a silo"
        assert "lost" not in dict(seen.all)


def test_what_is_above_the_limit_is_not_sent_and_the_sender_is_told():
    with connection() as (_, silo):
        connected(silo)
        with pytest.raises(UserError, match=r"engine.message_limit: a message 'state' has \d+ "):
            silo.send_message(state(LIMIT))


def test_a_silo_hears_from_a_server_that_does_other_things_and_is_told_when_it_ends():
    """Nobody handles what it says: no hello, no join."""
    with connection() as (server, silo):
        hub, heartbeat = Hub(server, 1, strict=False, patience=0.4), Heartbeat(silo, 0.4)
        seen = Seen(silo)
        connected(silo)
        hello(silo)
        since = silo._heard[SERVER]
        end = time.monotonic() + WAIT
        while silo._heard[SERVER] < since + 1.0:  # seconds, so several times its patience
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not hub.silos[1].connected
        heartbeat.end()
        ends = threading.Thread(target=hub.close, args=("it has failed",))
        ends.start()
        assert seen.until("bye").why == "it has failed"
        ends.join(WAIT)
        assert not ends.is_alive()


def test_a_silo_that_comes_while_the_server_ends_is_told_too():
    server = GrpcServer("127.0.0.1:0", 1, LIMIT)
    hub = Hub(server, 1, strict=False, patience=WAIT)
    ends = threading.Thread(target=hub.close)
    ends.start()
    with closing(GrpcSilo(1, f"127.0.0.1:{server.port}", LIMIT, WAIT)) as silo:
        assert Seen(silo).until("bye").why is None
    ends.join(WAIT)
    assert not ends.is_alive()


def test_a_servers_patience_is_known_by_its_silos_signs_of_life():
    with connection() as (server, silo):
        connected(silo)
        before = server.silence(1)
        heartbeat = Heartbeat(silo, 0.2)
        end = time.monotonic() + WAIT
        while server.received["alive"] < 3 * len(pack(message(Alive(), 1, SERVER))):
            assert time.monotonic() < end
            time.sleep(0.01)
        heartbeat.end()
        assert before >= 0 and server.silence(1) < WAIT
        assert not server.handle_one(0.0)  # none of them waits to be handled


def test_an_inbox_holds_up_who_sends_too_much_and_nobody_else():
    inbox, done = Inbox(), threading.Event()

    def flood() -> None:
        for number in range(3 * MOST):
            inbox.put(1, number)
        done.set()

    threading.Thread(target=flood, daemon=True).start()
    end = time.monotonic() + WAIT
    while len(inbox._messages) < MOST:
        assert time.monotonic() < end
    inbox.put(2, "another's")
    assert len(inbox._messages) == MOST + 1 and not done.is_set()
    found = [inbox.get(WAIT) for _ in range(3 * MOST + 1)]
    assert [one for one in found if one != "another's"] == list(range(3 * MOST))
    assert found.index("another's") == MOST and done.wait(WAIT)
    assert inbox.get(0.01) is None


def test_a_closed_inbox_holds_nobody():
    inbox = Inbox()
    for number in range(MOST):
        inbox.put(1, number)
    late = threading.Thread(target=inbox.put, args=(1, "late"))
    late.start()
    inbox.close()
    late.join(WAIT)
    assert not late.is_alive() and len(inbox._messages) == MOST


def test_a_stream_that_takes_nothing_is_ended():
    outbox = Outbox()
    for _ in range(FRAMES):
        outbox.put(b"frame")
    with pytest.raises(Unreachable, match="is not taken"):
        outbox.put(b"frame")
    assert outbox.closed
    with pytest.raises(Unreachable, match="not connected"):
        outbox.put(b"frame")
    assert len(list(outbox)) == FRAMES


OVER_MPI = """
import json, sys, time
from mpi4py import MPI
from fednlp.engines.fedml.codec import encode
from fednlp.engines.fedml.messages import Hello, body_of, message
from fednlp.engines.fedml.mpi import MpiTransport

class Seen:
    def receive_message(self, kind, made):
        if made.get_sender_id() == 1:
            found.append((str(kind), body_of(made).model_dump()))

found, alive, transport = [], encode({"kind": "alive"}), MpiTransport(MPI.COMM_WORLD, 10_000, 5.0)
transport.add_observer(Seen())
if transport.rank == 1:
    transport._send(0, bytes(20_000_000))  # more than MPI sends before it is asked for
    transport._send(0, b"\\x80\\x04" + bytes(100))
    transport._send(0, alive)
    transport.send_message(message(Hello(name="a silo"), 1, 0))
end = time.monotonic() + 60
while transport.rank == 0 and len(found) < 3 and time.monotonic() < end:
    transport.handle_one(0.1)
if transport.rank == 0:
    print(json.dumps([found, transport.received["alive"], len(alive)]))
transport.close()
"""


def test_over_mpi_what_is_no_message_is_dropped_and_the_next_one_is_read(tmp_path):
    program = tmp_path / "two.py"
    program.write_text(OVER_MPI)
    mpirun = str(Path(sys.executable).parent / "mpirun")
    done = subprocess.run(
        [mpirun, "-n", "2", sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, alive, size = json.loads(done.stdout)
    assert [kind for kind, _ in found] == ["rejected", "rejected", "hello"] and alive == size
    assert found[0][1]["why"] == "a message of 20000000 bytes, above the limit of 10000"
    assert "not a frame of this program" in found[1][1]["why"]
