"""The site in a real browser: sorting, filtering, expanding, the theme, the keyboard.

Playwright drives the Chromium of the system, from files and without a network.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import replace

import pytest

from benchmarks.synthetic_runs import Made, write_pair
from fednlp.leaderboard.build import build

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[dev]'")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium")
METHODS = ("FedAvg", "FedProx", "FedAdam", "SCAFFOLD", "FedNova", "Ditto", "FedYogi", "FedAdagrad")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    runs, site = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("out") / "site"
    for task in ("text_classification", "sequence_tagging"):
        for number, method in enumerate(METHODS):
            for seed in (0, 1):
                quality = 1.0 - 0.1 * number
                write_pair(runs, Made(task, 0.1, method, seed=seed, rounds=12, quality=quality))
    return site, build([runs], site)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, site):
    """A function that opens a page of the site; complaints of the page fail the test."""
    contexts, complaints = [], []

    def open_page(name="index.html", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: r.url.startswith(("file:", "data:")) or complaints.append(r.url)
        )
        page.goto((site[0] / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def methods(opened, site):
    """The page of the first benchmark, and its lines as the board has them."""
    benchmark = site[1].board.benchmarks[0]
    return opened(f"benchmark/{benchmark.key}.html"), benchmark.lines


def column(page, number):
    cells = page.locator(f"#methods tbody.line:not([hidden]) tr > :nth-child({number})")
    return [text.strip() for text in cells.all_inner_texts()]


def test_a_click_on_a_head_sorts_and_another_one_turns_it(methods):
    page, lines = methods
    names = [line.method for line in lines]
    assert column(page, 2) == names
    head = page.get_by_role("columnheader", name="Federated")
    for order, expected in (("ascending", names[::-1]), ("descending", names)):
        head.get_by_role("button").click()
        assert head.get_attribute("aria-sort") == order
        by_score = sorted(lines, key=lambda n: n.gap.federated, reverse=order == "descending")
        assert column(page, 2) == [line.method for line in by_score]
        assert set(column(page, 2)) == set(expected)
    assert page.locator("#methods [aria-sort]").count() == 1


def test_text_sorts_as_text_and_what_is_missing_comes_last(methods):
    page, lines = methods
    page.get_by_role("columnheader", name="Method").get_by_role("button").click()
    assert column(page, 2) == sorted((n.method for n in lines), key=str.lower)
    head = page.get_by_role("columnheader", name="95 %")
    for _ in range(2):
        head.get_by_role("button").click()
        reached = column(page, 15)
        known = [value for value in reached if value != "–"]
        assert reached == known + ["–"] * (len(reached) - len(known)) and "–" in reached and known


def test_seeds_open_below_their_line_and_go_with_it(methods):
    page, lines = methods
    first = lines[0]
    seeds = page.locator(f"#s{first.key}")
    button = page.locator(f'[aria-controls="s{first.key}"]')
    assert not seeds.is_visible() and button.get_attribute("aria-expanded") == "false"
    button.click()
    assert seeds.is_visible() and button.get_attribute("aria-expanded") == "true"
    assert seeds.get_by_role("link", name="seed 1").count() == 1
    spread = seeds.locator(".spread").inner_text().replace("−", "-")
    low, high = first.gap_summary.t_interval
    assert f"[{low:+.3f}, {high:+.3f}]" in spread and f"{first.gap_summary.std:.3f}" in spread
    assert f"{first.test_stderr:.3f} (score of one run)" in spread
    assert "none: 2 seeds, needs 10" in spread
    page.get_by_role("columnheader", name="Federated").get_by_role("button").click()
    after = page.evaluate(
        f"document.getElementById('s{first.key}').previousElementSibling.innerText"
    )
    assert first.method in after and seeds.is_visible()
    seeds.get_by_role("link", name="seed 0").click()
    assert "seed 0" in page.get_by_role("heading", level=1).inner_text()


def test_one_field_filters_all_columns(methods):
    page, _ = methods
    page.get_by_label("Filter all columns").fill("fedprox")
    assert [name[:7] for name in column(page, 2)] == ["FedProx"]
    assert page.get_by_role("status").inner_text() == "1 of 8 lines"
    page.get_by_label("Filter all columns").fill("no such method")
    assert column(page, 2) == [] and page.get_by_text("No line matches.").is_visible()
    page.get_by_label("Filter all columns").fill("")
    assert len(column(page, 2)) == 8


@pytest.mark.parametrize("sign", ["<", ">="])
def test_numbers_are_filtered_by_comparison(methods, sign):
    page, lines = methods
    page.get_by_text("Filter by column").click()
    limit = (lines[3].gap.gap.mean + lines[4].gap.gap.mean) / 2
    page.get_by_label("Gap", exact=True).fill(f"{sign}{limit}")
    expected = lines[:4] if sign == "<" else lines[4:]
    assert column(page, 2) == [line.method for line in expected]
    page.get_by_label("Method", exact=True).fill(expected[0].algorithm)
    assert len(column(page, 2)) == 1
    page.get_by_label("Gap", exact=True).fill("0..0.0000001")
    assert column(page, 2) == []


def test_lines_of_the_charts_can_be_chosen(methods):
    page, lines = methods
    drawn = page.locator(".chart .series:visible")
    assert drawn.count() == 3 * 7  # the eighth is off at first
    key = page.locator(f'.key[data-series="{lines[0].key}"]')
    key.click()
    assert key.get_attribute("aria-pressed") == "false" and drawn.count() == 3 * 6
    page.locator(f'.key[data-series="{lines[7].key}"]').click()
    assert drawn.count() == 3 * 7


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen_and_is_remembered(opened, scheme):
    page = opened(color_scheme=scheme)

    def paper():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    colours = {"light": "rgb(253, 253, 252)", "dark": "rgb(20, 24, 29)"}
    other = {"light": "dark", "dark": "light"}[scheme]
    button = page.get_by_role("button", name="Dark theme")
    assert paper() == colours[scheme]

    def tick():
        content = button.evaluate("e => getComputedStyle(e, '::before').content")
        return "\u2713" in content

    assert button.get_attribute("aria-pressed") == str(scheme == "dark").lower()
    assert tick() == (scheme == "dark")  # the name is the same in both
    button.click()
    assert paper() == colours[other] and tick() == (other == "dark")
    page.reload()
    assert paper() == colours[other]
    page.locator("#overview tr.entry a").first.click()
    page.wait_for_load_state()
    assert paper() == colours[other]


def test_everything_can_be_done_with_the_keyboard(methods):
    page, lines = methods
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "(() => { const e = document.activeElement; return [e.className, e.innerText ?? '',"
            " getComputedStyle(e).outlineStyle, getComputedStyle(e).outlineWidth]; })()"
        )
        assert here[2] != "none" and here[3] != "0px", f"no focus is seen on {here}"
        reached.add(here[1].strip())
        if here[1].strip() == "Federated":
            page.keyboard.press("Space")
        if here[0] == "expand":
            page.keyboard.press("Enter")
            break
    assert {"Rank", "Gap", "Federated"} <= reached
    by_score = sorted(lines, key=lambda line: line.gap.federated)
    assert column(page, 2) == [line.method for line in by_score]
    assert page.locator(f"#s{by_score[0].key}").is_visible()


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_no_page_is_wider_than_its_window(opened, site, width):
    benchmark = site[1].board.benchmarks[0]
    run = site[1].board.runs[0].result.id[:24]
    for name in ("index.html", f"benchmark/{benchmark.key}.html", f"run/{run}.html"):
        page = opened(name, viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        small = page.evaluate(
            "[...document.querySelectorAll('svg.chart text')].map((t) => t.getBoundingClientRect()"
            ".height).filter((h) => h > 0 && h < 9)"
        )
        assert small == [], name


def test_nothing_moves_while_a_page_loads_on_a_slow_machine(browser, site):
    names = ("index.html", f"benchmark/{site[1].board.benchmarks[0].key}.html")
    for name in names:
        with closing(browser.new_context(viewport={"width": 1280, "height": 900})) as context:
            page = context.new_page()
            slow = context.new_cdp_session(page)
            slow.send("Emulation.setCPUThrottlingRate", {"rate": 10})
            page.goto((site[0] / name).as_uri())
            shift = page.evaluate(
                "new Promise((done) => { let sum = 0; new PerformanceObserver((list) => {"
                " for (const entry of list.getEntries()) sum += entry.value;"
                " }).observe({type: 'layout-shift', buffered: true});"
                " setTimeout(() => done(sum), 100); })"
            )
            assert shift == 0, name


def test_on_paper_there_are_no_controls_and_all_seeds_on_white(opened, site):
    """An A4 sheet, upright, from a dark page on which nothing was opened."""
    benchmark = site[1].board.benchmarks[0]
    page = opened(
        f"benchmark/{benchmark.key}.html",
        viewport={"width": 718, "height": 1000},
        color_scheme="dark",
    )
    page.get_by_role("button", name="Dark theme").click()
    page.get_by_role("button", name="Dark theme").click()  # chosen now, and not only the system's
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("input:visible, .theme:visible, .skip:visible").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert page.locator("#methods tbody.line:visible").count() == len(benchmark.lines)
    assert page.locator("#methods .seeds a:visible").count() == 2 * 2 * len(benchmark.lines)
    assert page.locator("#methods .spread:visible").count() == len(benchmark.lines)
    low, high, grounds, inks = page.evaluate("""(() => {
        const seen = [...document.querySelectorAll("body, body *")].filter((e) =>
            e.checkVisibility() && !e.closest("svg"));
        const light = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
            return a ? (r + g + b) / 3 : null; };
        const texts = seen.filter((e) => e.closest("#methods tbody") && e.innerText?.trim());
        const sizes = texts.map((e) => parseFloat(getComputedStyle(e).fontSize));
        const of = (set, name) => set.map((e) => light(getComputedStyle(e)[name]))
            .filter((value) => value !== null);
        return [Math.min(...sizes), Math.max(...sizes), Math.min(...of(seen, "backgroundColor")),
            Math.max(...of(texts, "color"))]; })()""")
    assert low >= 8 and high < 20  # CSS pixels: 6 points at least
    assert grounds >= 230 and inks <= 80
    assert page.locator(".chart .series:visible").count() == 3 * 7  # those that were chosen


def test_without_a_script_all_seeds_and_lines_are_there(opened, site):
    benchmark = site[1].board.benchmarks[0]
    page = opened(f"benchmark/{benchmark.key}.html", java_script_enabled=False)
    assert page.locator("tbody.seeds").first.is_visible()
    assert page.locator(".chart .series:visible").count() == 3 * 8
    assert not page.get_by_label("Filter all columns").is_visible()


def test_the_overview_filters_benchmarks_and_names_every_method(opened):
    page = opened()
    assert page.locator("#overview thead th").count() == 1 + len(METHODS)
    page.get_by_label("Filter benchmarks").fill("events")
    assert page.locator("#overview tr.entry:visible").count() == 1
    page.get_by_label("Filter benchmarks").fill("nothing of the kind")
    assert page.get_by_text("No benchmark matches.").is_visible()


def test_hostile_names_run_nothing_in_a_browser(browser, tmp_path):
    evil = "</title></script><script>window.hit=1</script><img src=x onerror='window.hit=1'>"
    (tmp_path / "runs").mkdir()
    names = {"data": evil, "method": evil, "model": evil}
    write_pair(tmp_path / "runs", replace(Made(rounds=4), names=names))
    build([tmp_path / "runs"], tmp_path / "site")
    page = browser.new_page()
    for path in (tmp_path / "site").rglob("*.html"):
        page.goto(path.as_uri())
        assert page.evaluate("window.hit") is None and page.locator("img").count() == 0
    page.close()
