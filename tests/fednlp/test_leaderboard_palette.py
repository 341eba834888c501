"""The colours of the style sheet: contrast as WCAG 2 has it, and without full colour vision."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from fednlp.leaderboard.build import HERE
from fednlp.leaderboard.charts import COLOURS

CSS = (HERE / "assets" / "leaderboard.css").read_text(encoding="utf-8")
SCREEN, PRINT = CSS.split("@media print")
# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
VISION = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def variables(rule, text=SCREEN):
    """Colours of all blocks with exactly this selector, as linear RGB."""
    found = {}
    for selector, block in re.findall(r"([^{};]*(?::root)[^{}]*)\{([^}]*)\}", text):
        if selector.split("*/")[-1].strip() == rule:
            found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))
    return {name: linear(value) for name, value in found.items()}


def linear(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * d for d in colour[1:])
    share = np.array([int(digits[k : k + 2], 16) for k in (0, 2, 4)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


LIGHT = variables(":root")
DARK = LIGHT | variables(':root[data-theme="dark"]')
PAPER = variables(':root, :root[data-theme="dark"], :root:not([data-theme="light"])', PRINT)
THEMES = {"light": LIGHT, "dark": DARK, "print": LIGHT | PAPER}
each_theme = pytest.mark.parametrize("theme", THEMES)


def contrast(one, other):
    bright, dim = sorted((float(c @ [0.2126, 0.7152, 0.0722]) for c in (one, other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def lab(colour):
    """CIE L*a*b* (D65) of linear RGB."""
    xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ) @ np.clip(colour, 0, 1)
    x, y, z = (
        np.cbrt(t) if t > (6 / 29) ** 3 else t * (29 / 6) ** 2 / 3 + 4 / 29
        for t in xyz / [0.9505, 1.0, 1.089]
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_measures_are_those_of_their_definitions():
    black, white = linear("#000"), linear("#ffffff")
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(white, linear("#767676")) == pytest.approx(4.54, abs=0.01)
    assert lab(white) == pytest.approx([100, 0, 0], abs=0.02)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    assert all(np.sum(matrix, axis=1) == pytest.approx(1, abs=2e-6) for matrix in VISION.values())


@each_theme
def test_text_can_be_read(theme):
    colours = THEMES[theme]
    for ground, texts in (
        ("paper", ("ink", "muted", "accent", "warn")),
        ("surface", ("ink", "muted", "accent", "warn")),  # notes, seeds, code, a line pointed at
        ("warn-surface", ("ink", "accent")),
    ):
        for text in texts:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


@each_theme
def test_lines_and_marks_can_be_seen(theme):
    colours = THEMES[theme]
    for name in (*(f"c{n}" for n in range(COLOURS)), "muted", "ink", "focus", "warn"):
        assert contrast(colours[name], colours["paper"]) >= 3, name


def test_both_ways_to_a_dark_page_have_one_palette():
    by_system = variables(':root:not([data-theme="light"])')
    chosen = variables(':root[data-theme="dark"]')
    assert by_system.keys() == chosen.keys()
    assert all((by_system[name] == chosen[name]).all() for name in chosen)
    assert chosen.keys() <= PAPER.keys()  # a dark page leaves nothing dark on paper


@each_theme
@pytest.mark.parametrize("vision", VISION)
def test_colours_of_lines_are_told_apart(theme, vision):
    seen = [lab(np.array(VISION[vision]) @ THEMES[theme][f"c{n}"]) for n in range(COLOURS)]
    nearest = min(
        (np.linalg.norm(a - b), f"c{i} c{k}") for (i, a), (k, b) in combinations(enumerate(seen), 2)
    )
    assert nearest[0] >= 12, nearest  # 2.3 is just noticeable
