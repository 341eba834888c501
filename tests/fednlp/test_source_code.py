"""The text of a source says what it does, in the same words under every version of Python."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from harness import ROOT

from fednlp.source_code import canonical

SOURCE = """
@dataclass(frozen=True)
class Mine(FedAvg):
    '''A docstring.'''
    mu: float = 0.5
    async def f(self, *a, k=None, **b) -> int: return f"{a!r:>{k}}" if (x := a[1:]) else [*b, None]
    def g(self): ...
"""
TEXT = (
    "Module(body=[ClassDef(name='Mine',bases=[Name(id='FedAvg',ctx=Load())],body=[AnnAssign("
    "target=Name(id='mu',ctx=Store()),annotation=Name(id='float',ctx=Load()),"
)


def test_the_form_is_pinned():
    assert canonical(SOURCE).startswith(TEXT)
    assert canonical("x = None") == (
        "Module(body=[Assign(targets=[Name(id='x',ctx=Store())],value=Constant(value=None))])"
    )
    for absent in ("type_params", "type_comment", "docstring", "[]"):
        assert absent not in canonical(SOURCE)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("x = 1", "x  =  1  # one", True),
        ("def f():\n  'says'\n  return 1", "def f():\n  return 1", True),
        ("async def f():\n  'says'\n  return 1", "async def f():\n  return 1", True),
        ("x = 1", "x = 2", False),
        ("x = 1", "x = 1.0", False),
        ("x = None", "x = ()", False),
        ("f(a)", "f(b)", False),
        ("f(*a)", "f(a)", False),
        ("x = 'says'", "x = 'said'", False),
    ],
)
def test_only_what_a_source_does_counts(one, other, equal):
    assert (canonical(one) == canonical(other)) == equal


@pytest.mark.parametrize("name", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_another_python_says_the_same(name):
    python = shutil.which(f"python{name}")
    if python is None or subprocess.run([python, "-V"], capture_output=True).returncode:
        pytest.skip(f"no python{name} here")
    program = (
        "import runpy, sys; module = runpy.run_path('fednlp/source_code.py');"
        "print(module['canonical'](sys.stdin.read()))"
    )
    said = subprocess.run(
        [python, "-c", program], cwd=ROOT, input=SOURCE, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == canonical(SOURCE)
