"""Python source as text that says what it does: equal for all versions of Python.

`ast.dump` is no such text: its form changed in 3.12 and 3.13.

>>> canonical("def f(x):  # a comment\\n    'A docstring.'\\n    return x + 1")
"Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='x')]),\
body=[Return(value=BinOp(left=Name(id='x',ctx=Load()),op=Add(),right=Constant(value=1)))])])"
"""

from __future__ import annotations

import ast
from typing import Any


def canonical(source: str) -> str:
    """The syntax tree without comments, docstrings, places and empty fields."""
    return _text(ast.parse(source))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(_text(item) for item in value)}]"
    if not isinstance(value, ast.AST):
        return repr(value)
    fields = dict(ast.iter_fields(value))
    if isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["body"] = _without_docstring(value.body)
    if isinstance(value, ast.JoinedStr):  # Python 3.12 writes empty parts, others do not
        fields["values"] = [v for v in value.values if getattr(v, "value", None) != ""]
    constant = isinstance(value, ast.Constant)  # of which None is a value, not an absence
    inside = [
        f"{name}={_text(child)}"
        for name, child in fields.items()
        if (constant and name == "value") or not (child is None or child == [])
    ]
    return f"{type(value).__name__}({','.join(inside)})"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if documented else body
