"""The command line. Heavy imports happen inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from fednlp.commands import results, runs
from fednlp.errors import UserError, one_line
from fednlp.partitions.commands import app as partition_app

PROGRAM = "run_bench.py"
_INTERRUPTED = 130
app = typer.Typer(
    name=PROGRAM,
    help="A federated NLP benchmark: the gap to centralized training, on four tasks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "run": runs.run,
    "client": runs.client,
    "suite": runs.suite,
    "gap": results.gap,
    "plot": results.plot,
    "leaderboard": results.leaderboard,
    "list": runs.list_,
    "show": runs.show,
    "check": runs.check,
    "export-model": results.export_model,
    "track": results.track,
    "submit": results.submit,
    "verify": results.verify,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(partition_app)
# By default a waiting OpenMP thread spins, so that another program on one core costs us an order of
# magnitude. Read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "WORLD_SIZE" in os.environ:  # else torch tells of every wait for another process that is long
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


@contextmanager
def _ends_as_interrupts(received: list[int]) -> Iterator[None]:
    """Other signals that end a process do it as an interrupt does; they are noted."""

    def interrupt(number: int, _: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Runs a command; errors of the user become one line and exit code 2.

    An interrupt becomes one line too, and so does what schedulers and terminals end a process with.
    """
    atexit.register(gc.freeze)  # the collection at the end would search all for a second or two
    received: list[int] = []
    try:
        with _ends_as_interrupts(received):
            code = app(standalone_mode=False, prog_name=PROGRAM)
    except (typer.Abort, KeyboardInterrupt):  # of an older typer, which gives no code
        code = _INTERRUPTED
    except Exception as error:
        usage = getattr(error, "format_message", None)  # of click, or of the copy inside typer
        line = one_line(error) if usage is None else _misused(error)
        if line is None:
            raise
        if line:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    if code == _INTERRUPTED:
        how = f"ended by {signal.Signals(received[-1]).name}" if received else "interrupted"
        again = "; the same command continues" if sys.argv[1:2] in (["run"], ["suite"]) else ""
        print(f"{how}{again}", file=sys.stderr)
        code = 128 + received[-1] if received else code
    sys.exit(code or 0)


def _misused(error: Any) -> str:
    """What is wrong with the command line; "" where the help was printed already."""
    found = error.format_message().strip().rstrip(".")
    command = error.ctx.command_path if error.ctx else PROGRAM
    return str(UserError(command, found, fix=f"see {command} --help")) if found else ""
