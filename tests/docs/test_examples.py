"""The examples for clusters are shell that can be read, and start what the page says."""

from __future__ import annotations

import subprocess

import pytest
from markdown_pages import ROOT

EXAMPLES = sorted(p for p in (ROOT / "examples").iterdir() if p.suffix != ".py")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_it_is_shell(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text()
    assert text.startswith("#!/usr/bin/env bash\n") and "set -euo pipefail" in text
    assert "engine.name=torchrun" in text
    assert path.name in (ROOT / "docs/distributed.md").read_text()
