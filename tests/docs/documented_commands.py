"""Runs the console blocks of a page in order, as a reader would, at tiny size.

A page is worked through in a directory that looks like a clone. A code block with a file name is
written there; every line of a console block that begins with `$ ` is run. Commands that would take
long get TINY appended, except for keys that they set themselves. What a block shows is compared:
an `error: ...` line means that the command fails with exactly that line and exit code 2; other
output must be printed word for word, unless the command was made smaller.
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from markdown_pages import ROOT, Block, blocks

from fednlp import cli

TINY = {
    "dataset.sizes": "{train: 240, validation: 30, test: 60}",
    "model.name": "tiny",
    "rounds": "2",
    "tokens.max_length": "48",
}
TINY_REAL = {"dataset.limit": "{train: 200, validation: 20, test: 30}", "rounds": "1"}
LONG = ("run", "show", "suite")
REAL = "real-data"  # the name of console blocks that need FEDNLP_DATA
OWN = "own-data"  # of blocks that read files of the page itself, which have no sizes
PROGRAM = ["python", "run_bench.py"]


def make_clone(folder: Path) -> Path:
    """A directory in which the paths of a clone work."""
    for name in ("configs", "docs", "run_bench.py"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def work_through(name: str, capsys: pytest.CaptureFixture[str]) -> int:
    """Writes the named files and runs the commands of a page; returns how many commands ran."""
    commands = 0
    for block in blocks(name):
        if block.language == "console":
            if block.name != REAL or "FEDNLP_DATA" in os.environ:
                commands += _run_block(block, capsys)
        elif block.name:
            Path(block.name).write_text(block.text, encoding="utf-8")
    return commands


def _run_block(block: Block, capsys: pytest.CaptureFixture[str]) -> int:
    first, *parts = ("\n" + block.text).split("\n$ ")
    assert not first.strip(), f"{block.page}:{block.line}: output without a command"
    for part in parts:
        command, _, shown = part.partition("\n")
        where = f"{block.page}: {command}"
        wanted = [" ".join(line.split()) for line in shown.splitlines() if line.strip()]
        words = shlex.split(command)
        if words[0] == "cp":
            shutil.copy(*_expanded(words[1:]))
            continue
        assert words[:2] == PROGRAM, f"{where}: only {' '.join(PROGRAM)} and cp are run"
        errors = [line for line in wanted if line.startswith("error:")]
        arguments = _expanded(words[2:])
        smaller = arguments if errors else tiny(arguments, block.name)
        code, output, complaint = _run(smaller, capsys)
        if errors:
            assert (code, complaint.strip().splitlines()) == (2, errors), where
            continue
        assert code == 0, f"{where}: exit code {code}, {complaint}"
        if smaller == arguments:
            printed = [" ".join(line.split()) for line in output.splitlines()]
            missing = [line for line in wanted if line not in printed]
            assert not missing, f"{where} does not print {missing[0]!r}\n{output}"
    return len(parts)


def tiny(arguments: list[str], block: str = "") -> list[str]:
    """The rewriting rule: overrides appended to commands that would take long.

    Args:
        block: the name of their console block.
    """
    if arguments[0] not in LONG or "--help" in arguments:
        return arguments
    given = {word.partition("=")[0] for word in arguments if "=" in word}
    extra = TINY_REAL if block == REAL else dict(TINY)
    if block == OWN:
        del extra["dataset.sizes"]
    return [*arguments, *(f"{key}={value}" for key, value in extra.items() if key not in given)]


def _expanded(words: list[str]) -> list[str]:
    """Wildcards, as a shell would expand them."""
    return [found for word in words for found in (sorted(glob.glob(word)) or [word])]


def _run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["run_bench.py", *arguments])
        patch.setenv("COLUMNS", "200")
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err
