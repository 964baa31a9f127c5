"""The report of a sweep: figures from exact numbers, and whatever stands in the folder of a sweep."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from egru.sweep.table import SWEEP_FILE, Row, SweepResults
from egru.sweep_report import pictures
from egru.sweep_report.charts import cycles, occupancy, pareto, quality, resources
from egru.sweep_report.columns import COLUMNS, Change, differences, digest, show_change
from egru.sweep_report.entries import Entry, entries
from egru.sweep_report.figures import PALETTE, Bars, Figure, Plot, Series, spread
from egru.sweep_report.operations import operations
from egru.sweep_report.page import MARK, render_page
from egru.sweep_report.pictures import read_raster
from egru.sweep_report.reading import Sweep, read_sweep
from egru.sweep_report.report import Report, collect
from egru.sweep_report.svg import write_svgs
from sw_model.errors import UserError
from tests.egru.conftest import egru
from tests.egru.sweep_folder import ARTY, ICEBREAKER, ULX3S, make_sweep, write_table

HOSTILE = '</script><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1"> {{ 7 * 7 }} $x^{ [red] "\' & \x07'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sweep")
    make_sweep(root)
    return root


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return collect([read_sweep(folder)])


@pytest.fixture
def altered(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy the sweep, with the first row and whatever else changed."""

    def alter(row: dict[str, object] | None = None, **others: object) -> Path:
        shutil.copytree(folder / "models", tmp_path / "models", dirs_exist_ok=True)
        results = read_sweep(folder).results
        rows = (results.rows[0].model_copy(update=row or {}), *results.rows[1:])
        write_table(tmp_path, results.model_copy(update={"rows": rows} | others))
        return tmp_path

    return alter


def plots(figure: Figure | None) -> dict[str, Plot]:
    assert figure is not None
    return {panel.title: panel for panel in figure.panels if isinstance(panel, Plot)}


def bars(figure: Figure | None) -> dict[str, Bars]:
    assert figure is not None
    return {panel.title: panel for panel in figure.panels if isinstance(panel, Bars)}


def series(plot: Plot, role: str) -> dict[str, Series]:
    return {one.name: one for one in plot.series if one.role == role}


def row_of(report: Report, name: str) -> Row:
    return next(entry.row for entry in report.entries if entry.row.name == name)


def test_resources_are_shares_of_each_board(report: Report) -> None:
    found = plots(resources(report.entries))
    assert list(found) == ["LUT", "FF", "Block RAM", "DSP"]
    routed = series(found["LUT"], "measured")
    assert list(routed) == ["ulx3s_85f", "icebreaker"]
    line = ((0.0, 16_000 / 83_640), (0.5, 11_500 / 83_640), (0.9, 7_900 / 83_640))
    assert tuple((mark.x, mark.y) for mark in routed["ulx3s_85f"].marks) == routed["ulx3s_85f"].line == line
    # The dense network fits no iCEBreaker; the Arty is only estimated.
    assert [mark.x for mark in routed["icebreaker"].marks] == [0.5, 0.9]
    estimated = series(found["Block RAM"], "estimated")
    assert list(estimated) == ["arty_a7_100t"]
    assert [mark.y for mark in estimated["arty_a7_100t"].marks] == [186 / 270, 106 / 270, 42 / 270]
    assert estimated["arty_a7_100t"].line == ()
    assert "16,000 of 83,640 LUT, 19.1 %" in routed["ulx3s_85f"].marks[0].text


def test_seeds_share_a_line_through_their_median(folder: Path) -> None:
    sweep = read_sweep(folder)
    first = sweep.results.rows[0]
    assert first.build is not None
    rows = []
    for seed, lut in ((1, 10), (2, 40), (3, 20)):
        point, build = first.point.model_copy(update={"seed": seed}), first.build.model_copy(update={"lut": lut})
        rows.append(first.model_copy(update={"name": str(seed), "point": point, "build": build}))
    found = entries([Sweep(folder, sweep.results.model_copy(update={"rows": tuple(rows)}))])
    assert [(one.series, one.label) for one in found] == [("ulx3s_85f", f"0 %, seed {seed}") for seed in (1, 2, 3)]
    (line,) = series(plots(resources(found))["LUT"], "measured").values()
    assert (len(line.marks), line.line) == (3, ((0.0, 20 / 83_640),))


def test_cycles_stand_beside_the_law_and_the_prediction(report: Report) -> None:
    plot = plots(cycles(report.entries))["Cycles per step"]
    assert (plot.x.log, plot.y.log) == (True, True)
    row = row_of(report, "s0.50-ulx3s_85f")
    assert row.model is not None
    assert row.simulation is not None
    density = row.model.weight_density * row.model.event_density
    at = {role: series(plot, role)["ulx3s_85f"] for role in ("measured", "estimated", "law")}
    assert [(mark.x, mark.y) for mark in at["measured"].marks][1] == (density, row.simulation.cycles_per_step)
    assert [mark.y for mark in at["estimated"].marks][1] == row.simulation.predicted_cycles_per_step
    assert (density, row.model.macs.dense * density / 13) in at["law"].line
    assert (at["law"].marks, at["measured"].line, at["estimated"].line) == ((), (), ())


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], []),
        ([(1.0, 1.0)], [True]),
        ([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], [True, True, True]),
        ([(1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (2.0, 2.0)], [True, False, False, False]),
        ([(1.0, 1.0), (1.0, 1.0)], [True, True]),  # neither beats the other
        ([(3.0, 1.0), (1.0, 3.0), (2.5, 2.5), (2.0, 2.0)], [True, True, False, True]),
    ],
)
def test_the_pareto_front(points: list[tuple[float, float]], expected: list[bool]) -> None:
    assert pareto(points) == expected


def test_quality_has_a_front_by_cycles_and_one_by_speed(report: Report) -> None:
    found = plots(quality(report.entries))
    by_cycles, by_speed = (series(plot, "front")["Pareto front"] for plot in found.values())
    # The Arty has the most lanes; it has no clock, and the ULX3S has the faster one of the others.
    for front, board in ((by_cycles, "arty_a7_100t"), (by_speed, "ulx3s_85f")):
        assert [mark.text.splitlines()[0] for mark in front.marks] == [f"s{sparsity}-{board}" for sparsity in ("0.90", "0.50", "0.00")]
    a, b, c = ((mark.x, mark.y) for mark in by_cycles.marks)
    assert by_cycles.line == (a, (b[0], a[1]), b, (c[0], b[1]), c)
    baseline = series(found["Quality against cycles"], "baseline")["6-gram baseline"].line
    assert [y for _, y in baseline] == [1.75, 1.75]


def test_the_lanes_time_adds_up(report: Report) -> None:
    found = bars(occupancy(report.entries))
    assert list(found) == ["layer0", "layer1", "decoder"]
    for panel in found.values():
        assert [part.name for part in panel.parts] == ["useful", "fetch", "idle"]
        assert all(abs(sum(shares) - 1) < 1e-12 for shares in zip(*(part.values for part in panel.parts), strict=True))
    # What stalls is no part of the sum, and is left out where there is nothing of it.
    stalls = [[part.name for part in panel.marks] for panel in found.values()]
    assert stalls == [["bus stalls"], ["bus stalls", "output stalls"], ["bus stalls", "output stalls"]]
    # A board's bars stand together.
    labels = bars(report.figures[3])["layer0"].labels
    assert labels[:4] == ("0 %, ulx3s_85f", "50 %, ulx3s_85f", "90 %, ulx3s_85f", "0 %, icebreaker")


def test_operations_are_grouped_and_none_is_lost(report: Report) -> None:
    work, memories = operations(report.entries)
    assert {title: [part.name for part in panel.parts] for title, panel in (bars(work) | bars(memories)).items()} == {
        "Arithmetic and events": ["mac", "event", "update multiply"],
        "Toggles of registers": ["register toggle"],
        "Reads": ["directory", "weight", "accumulator", "queue"],
        "Writes": ["accumulator", "queue"],
    }
    assert [(name, color) for name, color, _ in memories.legend] == [("directory", 0), ("weight", 1), ("accumulator", 2), ("queue", 3)]
    assert [color for _, color, _ in work.legend] == [0, 1, 2, 3]


def test_what_was_not_measured_has_no_figure(folder: Path) -> None:
    sweep = read_sweep(folder)
    waiting = sweep.results.model_copy(update={"rows": sweep.results.rows[-1:]})
    assert [row.status for row in waiting.rows] == ["waiting"]
    for results in (waiting, sweep.results.model_copy(update={"rows": ()})):
        made = collect([Sweep(folder, results)])
        assert (made.figures, made.album.models, made.album.remarks) == ([], (), ())
        assert '<table id="table">' in render_page(made)


def test_long_lists_are_spread_evenly() -> None:
    assert spread(range(3), 5) == [0, 1, 2]
    assert spread(range(101), 5) == [0, 25, 50, 75, 100]


def test_colours_can_be_told_from_both_grounds() -> None:
    def luminance(color: str) -> float:
        parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    style = (Path(pictures.__file__).parent / "page.css").read_text()
    grounds = re.search(r"--ground: light-dark\((#\w+), (#\w+)\)", style)
    assert grounds is not None
    for pair in PALETTE:
        for color, ground in zip(pair, grounds.groups(), strict=True):
            low, high = sorted((luminance(color), luminance(ground)))
            assert (high + 0.05) / (low + 0.05) >= 3


# Pictures


def test_a_mask_shows_every_weight_that_is_not_zero(report: Report) -> None:
    assert [model.name for model in report.album.models] == ["s0.90-ulx3s_85f", "s0.50-ulx3s_85f", "s0.00-ulx3s_85f"]
    model = report.album.models[1]
    assert [picture.title for picture in model.masks] == ["layer0, R", "layer1, W", "layer1, R", "decoder, D"]
    assert [(picture.title, picture.cells.shape) for picture in model.rasters] == [("layer0", (24, 96)), ("layer1", (20, 96))]
    weights = np.array([[[0, 1], [2, 0]], [[0, 0], [0, 0]], [[3, 3], [-3, 3]]])
    picture = pictures._mask("R", "source", "row", weights)
    assert picture.cells.tolist() == [[0, 255, 0, 0, 255, 255], [255, 0, 0, 0, 255, 255]]
    assert picture.description == "R: 6 of 12 weights are not zero, 50 %."


def test_a_large_matrix_is_shown_in_blocks() -> None:
    mask = np.zeros((5, 8), bool)
    mask[:2, :2] = [[True, False], [False, False]]
    mask[4, 6:] = True
    cells, scale = pictures._shrink(mask, 4)
    assert scale == (2, 2)
    assert cells.tolist() == [[17 * 8, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 255]]


def zipped(*arrays: np.ndarray) -> bytes:
    file = BytesIO()
    np.savez_compressed(file, *arrays)
    return file.getvalue()


EVENTS = np.zeros((4, 3), bool)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "cannot be read"),
        (zipped(EVENTS)[:-30], "cannot be read"),
        (zipped(EVENTS.astype(np.int64)), "int64 of shape"),
        (zipped(EVENTS[0]), "is not bool of"),
        (zipped(EVENTS[:0]), "are not bool of shape"),
        (zipped(np.array([{}], object)), "is neither numbers nor text"),
        (zipped(), "is empty"),
        (zipped(np.zeros((1 << 12, 1 << 13), bool)), "exceeds 16,777,216 bytes unpacked"),
    ],
)
def test_events_that_are_none_are_refused(tmp_path: Path, data: bytes, rule: str) -> None:
    path = tmp_path / "raster.npz"
    path.write_bytes(data)
    with pytest.raises(UserError, match=rule):
        read_raster(path)


def test_events_are_read_in_either_order(tmp_path: Path) -> None:
    events = np.random.default_rng(1).random((5, 3)) < 0.5
    np.savez(tmp_path / "raster.npz", layer1=events, layer0=np.asfortranarray(events))
    found = read_raster(tmp_path / "raster.npz")
    assert list(found) == ["layer0", "layer1"]
    assert all((one == events).all() for one in found.values())


@pytest.mark.parametrize(
    ("row", "remark"),
    [
        ({"artifact": "models/none"}, "does not exist"),
        ({"raster": "models/none.npz"}, "does not exist"),
        ({"artifact": "../outside"}, "leads out of the sweep's folder"),
        ({"raster": "/etc/hostname"}, "leads out of the sweep's folder"),
    ],
)
def test_a_model_that_cannot_be_read_is_left_out_with_its_reason(altered: Callable[..., Path], row: dict[str, object], remark: str) -> None:
    made = collect([read_sweep(altered(row))])
    (said,) = made.album.remarks
    assert remark in said
    assert len(made.album.models) == (2 if "artifact" in row else 3)  # the weights are there without the events
    assert remark.replace("'", "&#39;") in render_page(made)


# Reading


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "is not valid JSON"),
        (lambda text: "[]", "is no table of a sweep; give the folder of a sweep"),
        (lambda text: '{"format": "egru-sweep"}', "sweep version None in .* is not the version 1 that this release reads"),
        (lambda text: text.replace('"version":1', '"version":2', 1), "sweep version 2"),
        (lambda text: text.replace('"status":"done"', '"status":"soon"', 1), r"key 'rows\.0\.status' = 'soon' .* is not accepted"),
        (lambda text: text.replace('"lut":16000', '"lut":"many"', 1), r"key 'rows\.0\.build\.lut' = 'many'"),
        (lambda text: text.replace('"lut":16000', f'"lut":{10**30}', 1), r"a number in .* is beyond 1e\+15"),
        (lambda text: text.replace('"quality":', '"quality":NaN,"other":', 1), "is not known|is not accepted"),
        (lambda text: text.replace('"name":"s0.50-ulx3s_85f"', '"name":"s0.00-ulx3s_85f"', 1), "is there 2 times"),
        (lambda text: text.replace('"started":"', '"started":' + "[" * 99 + "]" * 99 + ',"x":"', 1), "is nested deeper than 64"),
    ],
)
def test_a_damaged_table_is_refused_in_one_line(
    folder: Path, tmp_path: Path, change: Callable[[str], str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps(json.loads((folder / SWEEP_FILE).read_text()), separators=(",", ":"))
    assert change(text) != text
    (tmp_path / SWEEP_FILE).write_text(change(text))
    done = egru("report", tmp_path)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert re.search(message, done.err), done.err
    assert [path.name for path in tmp_path.iterdir()] == [SWEEP_FILE]


def test_names_do_nothing_to_a_terminal(altered: Callable[..., Path]) -> None:
    folder = altered(title="one")
    table = folder / SWEEP_FILE
    table.write_text(table.read_text().replace('"one"', '"\\u001b[31m\\ud800\\u202e a\\nb ÷"'))
    assert read_sweep(folder).results.title == "\ufffd[31m\ufffd\ufffd a b ÷"
    assert "\x1b" not in egru("report", folder).out


# The page


def test_the_page_asks_no_network_and_runs_no_script_but_its_own(report: Report) -> None:
    page = render_page(report)
    assert page == render_page(report)
    assert len(page) < 2_300_000
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html.unescape(page))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert not set(re.findall(r"\b(?:http|https|ws|blob):|\*", policy))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
    assert not re.findall(r'<(?:link|iframe|object|embed|base|form)\b|\b(?:src|href)="(?!#)', page)
    for picture in re.findall(r'<div class="plot"[^>]*>', page):
        assert re.search(r'role="img" aria-label="[^"]{20,}"', picture)
    assert page.count("<caption>") == page.count("<table")


def test_names_are_text_wherever_they_stand(altered: Callable[..., Path]) -> None:
    results = SweepResults.model_validate_json((altered() / SWEEP_FILE).read_text())
    rows = [
        row.model_copy(update={"name": f"{HOSTILE} {index}", "point": row.point.model_copy(update={"board": HOSTILE})})
        for index, row in enumerate(results.rows)
    ]
    rows[1] = rows[1].model_copy(update={"reason": HOSTILE, "failed_stage": HOSTILE})
    folder = altered(
        title=HOSTILE, rows=tuple(rows), text={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE}, config={HOSTILE: HOSTILE}, started=HOSTILE
    )
    made = collect([read_sweep(folder)])
    page = render_page(made)
    assert "<img" not in page
    assert "window.hacked = 1</script>" not in page
    assert "{{ 7 * 7 }}" in page  # not 49
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data)["figures"][0][0]["series"][0]["name"] == made.entries[0].series
    assert egru("report", folder).code == 0


def test_svgs_are_the_same_bytes_and_well_formed(altered: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="SVGs are optional: pip install 'egru-fpga[bench]'")
    rows = read_sweep(altered()).results.rows
    hostile = rows[0].model_copy(update={"point": rows[0].point.model_copy(update={"board": "$x^{ <b> &"})})
    folder = altered(rows=(hostile, rows[3]))
    out = tmp_path / "svg"
    done = egru("report", folder, "--svg", out, "--json").json()
    assert done["svg"] == [f"{key}.svg" for key in ("resources", "cycles", "quality", "occupancy", "work", "memories", "events", "weights")]
    drawn = {path.name: path.read_bytes() for path in out.iterdir()}
    for text in drawn.values():
        ElementTree.fromstring(text)
    assert "$x^{ &lt;b&gt; &amp;" in drawn["resources.svg"].decode()
    made = collect([read_sweep(folder)])
    few = replace(made, figures=made.figures[1:2], album=replace(made.album, models=()))
    assert write_svgs(few, out, force=True) == ["cycles.svg"]
    assert (out / "cycles.svg").read_bytes() == drawn["cycles.svg"]
    refused = egru("report", folder, "--svg", out)
    assert (refused.code, "already holds results" in refused.err) == (2, True)


# The command


def test_the_command_writes_a_page_and_says_what_is_in_it(folder: Path) -> None:
    done = egru("report", folder)
    assert done.code == 0
    for words in (
        "10 points: 8 done, 1 failed, 1 waiting",
        "every one was equal",
        "47 block RAMs exceed the 30 of icebreaker",
        "16,000",
    ):
        assert words in " ".join(done.out.split())
    assert MARK in (folder / "report.html").read_text()
    said = egru("report", folder, "--json").json()
    assert said["page"] == str(folder / "report.html")
    (sweep,) = said["sweeps"]
    assert sweep["rows"][0] == digest(read_sweep(folder).results.rows[0])
    assert (sweep["rows"][0]["lut"], sweep["rows"][0]["hidden_sizes"], sweep["rows"][-1]["lut"]) == (16_000, "24x20", None)


def test_the_command_imports_nothing_that_trains(folder: Path, tmp_path: Path) -> None:
    code = "import sys; from egru import cli; code = cli.main(sys.argv[1:]); print(code, 'torch' in sys.modules)"
    command = [sys.executable, "-c", code, "report", str(folder), "--out", str(tmp_path / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_only_an_earlier_report_is_replaced(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    page.write_text("<!DOCTYPE html><p>mine</p>")
    refused = egru("report", folder, "--out", page)
    assert refused.code == 2
    assert "is a file that this command did not write; give another --out, or --force to replace it" in refused.err
    assert "mine" in page.read_text()
    assert egru("report", folder, "--out", page, "--force").code == 0
    assert egru("report", folder, "--out", page).code == 0
    assert egru("report", folder, "--out", tmp_path).code == 2


@pytest.mark.parametrize("arguments", [(), ("folder", "--compare", "a", "b")])
def test_one_sweep_or_two(arguments: tuple[str, ...]) -> None:
    done = egru("report", *arguments)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "takes one folder, or --compare with two" in done.err


def test_options_of_a_sweep_are_refused_for_a_synthesis_report() -> None:
    done = egru("report", Path(__file__).parent / "data" / "csynth.xml", "--out", "page.html")
    assert done.code == 2
    assert "is no sweep" in done.err


def test_a_point_with_wrong_values_is_not_called_exact(altered: Callable[..., Path], folder: Path) -> None:
    simulation = read_sweep(folder).results.rows[0].simulation
    assert simulation is not None
    wrong = altered({"simulation": simulation.model_copy(update={"mismatches": 3})})
    assert "with the reference: 3 differed." in egru("report", wrong).out.replace("\n", " ")


# Two sweeps


def test_two_sweeps_are_compared_by_the_names_of_their_points(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_sweep(other, title="Slower", sparsities=(0.5, 0.7), targets=(ULX3S, ARTY, ICEBREAKER), factor=1.25)
    page = tmp_path / "page.html"
    said = egru("report", "--compare", folder, other, "--out", page, "--json").json()
    assert [sweep["title"] for sweep in said["sweeps"]] == ["A: Six sparsities on three boards", "B: Slower"]
    assert [one["name"] for one in said["differences"]] == ["s0.50-ulx3s_85f", "s0.50-icebreaker", "s0.50-arty_a7_100t", "s0.99-ulx3s_85f"]
    change = said["differences"][0]["changes"]["cycles_per_step"]
    assert change["second"] == change["first"] * 1.25
    assert round(change["relative"], 12) == 0.25
    assert "(+25.0 %)" in page.read_text()
    assert "+25.0 %" in egru("report", "--compare", folder, other, "--out", page).out


def test_two_sweeps_are_told_apart_in_figures(folder: Path) -> None:
    two = [Sweep(folder, read_sweep(folder).results, letter) for letter in "AB"]
    found = entries(two)

    def look(one: Entry) -> tuple[str, int, int]:
        return one.series, one.color, one.symbol

    assert [look(one) for one in found[:2]] == [("A: ulx3s_85f", 0, 0), ("A: icebreaker", 1, 0)]
    assert [look(one) for one in found[10:12]] == [("B: ulx3s_85f", 0, 1), ("B: icebreaker", 1, 1)]
    fronts = series(plots(quality(found))["Quality against cycles"], "front")
    assert list(fronts) == ["A: Pareto front", "B: Pareto front"]
    changes = differences(*two)[0].changes
    assert all(change.first == change.second for change in changes.values())


@pytest.mark.parametrize(
    ("first", "second", "relative"), [(4, 5, 0.25), (0, 5, None), (None, 5, None), ("a", "b", None), (1e-320, 1e10, None)]
)
def test_a_change(first: float | str | None, second: float | str, relative: float | None) -> None:
    assert Change.between(first, second).relative == relative


def test_a_change_in_words(report: Report) -> None:
    column = next(one for one in COLUMNS if one.key == "occupancy")
    assert show_change(column, Change.between(0.5, 0.75)) == "50 % → 75 % (+50.0 %)"
    assert show_change(column, Change.between(0.5, 0.5)) == "50 %"
    assert show_change(column, Change.between(None, 0.5)) == "- → 50 %"
    assert show_change(column, Change.between(None, None)) == "-"
