"""The page of a sweep in a browser: drawn without a network, by mouse and by keyboard, in both themes, on wide and narrow screens.

Screenshots are left in build/report_screenshots.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: pip install 'egru-fpga[test]'")
from playwright.sync_api import Browser, Page, expect, sync_playwright

from egru.sweep_report.page import render_page
from egru.sweep_report.reading import read_sweep
from egru.sweep_report.report import collect
from tests.egru.sweep_folder import ICEBREAKER, make_sweep, write_table

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed, e.g. the Debian package chromium")

SCREENSHOTS = Path(__file__).parents[2] / "build" / "report_screenshots"
HOSTILE = '</script><img src=x onerror="window.hacked = 1"><b>bold</b> %{x} & ${1}'


class Browsed:
    """A page that is open, and everything that it asked for or complained of."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page, self.path = page, path
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("main:not([aria-busy])")

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def wait_until(self, expression: str) -> None:
        # Playwright's own way evaluates a text in the page, which the page forbids.
        for _ in range(100):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(expression)

    def column(self, index: int) -> list[str]:
        return self.page.locator(f"#table tbody tr:not([hidden]) > :nth-child({index})").all_inner_texts()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own walls do not stand under root, as in a container; the page is ours.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="module")
def browsed(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Browsed:
    """The page of a sweep whose second board, title and reason are named by somebody with bad manners."""
    folder = tmp_path_factory.mktemp("page")
    results = make_sweep(folder)
    rows = []
    for row in results.rows:
        point = row.point.model_copy(update={"board": HOSTILE if row.point.board == ICEBREAKER.name else row.point.board})
        rows.append(row.model_copy(update={"point": point, "reason": row.reason and f"{row.reason} {HOSTILE}"}))
    write_table(folder, results.model_copy(update={"title": HOSTILE, "rows": tuple(rows)}))
    path = folder / "report.html"
    path.write_text(render_page(collect([read_sweep(folder)])))
    return Browsed(browser.new_page(viewport={"width": 1400, "height": 900}), path)


def test_it_loads_from_a_file_and_asks_for_nothing(browsed: Browsed) -> None:
    assert browsed.requests == [browsed.path.as_uri()]
    assert browsed.complaints == []
    assert not browsed.page.locator("#failure").is_visible()


def test_every_plot_is_drawn_with_its_data(browsed: Browsed) -> None:
    plots = browsed.count(".plot")
    assert plots == 4 + 1 + 2 + 3 + 2 + 2 + 2 + 4
    assert browsed.count(".plot:has(svg.main-svg)") == plots
    # LUT: 3 points of a routed board, 2 of the one that the dense network does not fit, 3 of an estimated one.
    assert browsed.count("#resources .panel:nth-child(1) .scatterlayer .point") == 8
    assert browsed.count("#cycles .scatterlayer .point") == 3 * 9  # simulated, predicted, by the law
    assert browsed.count("#occupancy .panel:nth-child(1) .barlayer .point") == 3 * 9
    assert browsed.count("#models .heatmaplayer image") == 2 + 4


def test_a_name_in_the_legend_hides_and_shows_by_the_keyboard(browsed: Browsed) -> None:
    button = browsed.page.locator("#resources .legend button").first
    points = "#resources .panel:nth-child(1) .scatterlayer .point"
    for key, pressed, left in (("Enter", "false", 5), ("Space", "true", 8)):
        button.press(key)
        assert button.get_attribute("aria-pressed") == pressed
        expect(browsed.page.locator(points)).to_have_count(left)


def test_the_table_is_filtered(browsed: Browsed) -> None:
    box = browsed.page.get_by_label("Filter")
    for text, left in (("S0.50 done", 3), ("47 block RAMs", 1), ("waiting", 1), ("nothing like it", 0), ("", 10)):
        box.fill(text)
        assert (len(browsed.column(1)), browsed.page.locator("#count").inner_text()) == (left, f"{left} of 10 points")


def test_the_table_is_sorted_by_the_keyboard(browsed: Browsed) -> None:
    head = browsed.page.locator("#table thead th", has_text="LUT")
    place = [cell.strip() for cell in browsed.page.locator("#table thead th").all_inner_texts()].index("LUT") + 1
    head.locator("button").focus()
    for order, sign in (("ascending", 1), ("descending", -1)):
        browsed.page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == order
        values = [text.replace(",", "") for text in browsed.column(place)]
        numbers = [int(text) for text in values[:8]]
        assert numbers == sorted(numbers, key=lambda value: sign * value)
        assert values[8:] == ["-", "-"]  # what is missing comes last, whichever way
    browsed.page.locator("#table thead button").first.click()
    assert browsed.column(1) == sorted(browsed.column(1))
    assert browsed.count("#table [aria-sort]:not([aria-sort=none])") == 1


def test_another_model_can_be_chosen(browsed: Browsed) -> None:
    chooser, mask = browsed.page.get_by_label("Model", exact=True), browsed.page.locator("#masks .plot").first
    assert chooser.locator("option").all_inner_texts() == ["s0.90-ulx3s_85f", "s0.50-ulx3s_85f", "s0.00-ulx3s_85f"]
    assert "100 %" not in (mask.get_attribute("aria-label") or "")
    chooser.select_option("2")
    expect(mask).to_have_attribute("aria-label", "layer0, R: 1,728 of 1,728 weights are not zero, 100 %.")
    expect(browsed.page.locator("#models .heatmaplayer image")).to_have_count(2 + 4)


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("light", 380), ("dark", 380), ("dark", 1400)])
def test_it_fits_in_both_themes(browsed: Browsed, theme: str, width: int) -> None:
    page, button = browsed.page, browsed.page.locator("#theme")
    page.set_viewport_size({"width": width, "height": 900})
    if button.get_attribute("aria-pressed") != str(theme == "dark").lower():
        button.click()
    ground, words = {"light": ("rgb(251, 250, 247)", "rgb(89, 96, 106)"), "dark": ("rgb(22, 24, 27)", "rgb(166, 172, 181)")}[theme]
    expect(page.locator("body")).to_have_css("background-color", ground)
    # The last plot is drawn last.
    expect(page.locator("#masks .xtitle").last).to_have_css("fill", words)
    browsed.wait_until(f"document.documentElement.scrollWidth === {width}")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"report_{theme}_{width}.png", full_page=True)
    assert browsed.complaints == []


def test_it_can_be_read_without_seeing_and_used_without_a_mouse(browsed: Browsed) -> None:
    page = browsed.page
    assert page.evaluate("document.documentElement.lang") == "en"
    assert [browsed.count(name) for name in ("h1", "header", "main", "nav", "footer")] == [1] * 5
    assert browsed.count("section") == browsed.count("section[aria-labelledby]") == browsed.count("section > h2")
    assert browsed.count(".plot:not([role=img][aria-label])") == 0
    skip = page.get_by_text("Skip to the figures")
    expect(skip).not_to_be_in_viewport()
    skip.focus()
    expect(skip).to_be_in_viewport()
    for name in ("Dark", "Resources against sparsity"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_names_are_text_in_the_browser(browsed: Browsed) -> None:
    page = browsed.page
    assert page.evaluate("window.hacked") is None
    assert browsed.count("b, img, script") == 3 + 1  # the data, the packed Plotly, the page's script, and Plotly unpacked
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.locator("#resources .legend button").nth(1).inner_text() == HOSTILE[:60].strip()
    assert page.locator("#occupancy .yaxislayer-above .ytick").nth(3).text_content() == f"0 %, {HOSTILE}"[:60]
    page.locator("#quality").scroll_into_view_if_needed()
    box = page.locator("#quality .scatterlayer .point").nth(3).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#quality .hoverlayer .nums").first).to_contain_text("s0.00-icebreaker")
    assert browsed.complaints == []
