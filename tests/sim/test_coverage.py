"""Coverage data: what the runner asks Verilator for, and how its records become points."""

from pathlib import Path

import pytest

from hls_gen.hardware_config import HardwareConfig
from hls_gen.library import closure
from hls_gen.rtl_backend import write
from sim import runner
from sim.coverage_data import BRANCH, COVER, LINE, TOGGLE, Point, cover_points, read_coverage
from sim.runner import COVERAGE_FLAGS, COVERAGE_POINTS, COVERAGE_VARIABLE, LIBRARY, build_simulation, lint
from sw_model.random_model import RandomModelSpec, random_model


def write_run(folder: Path, source: str, text: str, *records: tuple[dict[str, str], int]) -> None:
    folder.mkdir(parents=True)
    (folder / source).write_text(text)
    lines = (f"C '{''.join(chr(1) + key + chr(2) + value for key, value in keys.items())}' {count}" for keys, count in records)
    (folder / "coverage.dat").write_text("\n".join(["# SystemC::Coverage-3", *lines, ""]))


def record(source: str, line: int, kind: str, what: str, lines: str = "") -> dict[str, str]:
    keys = {"f": f"/gone/{source}", "l": str(line), "n": "5", "t": kind, "page": "v", "o": what, "S": lines, "h": "top.u"}
    return {key: value for key, value in keys.items() if value}


def test_runs_of_all_shapes_add_up(tmp_path: Path) -> None:
    text = "module egru_fifo;\n  always begin\n    if (push)\n      a <= b;\n  end\n"
    for name, taken in (("one", 0), ("two", 3)):
        write_run(
            tmp_path / name,
            "egru_fifo.sv",
            text,
            (record("egru_fifo.sv", 2, "line", "block", "2-3"), 7),
            (record("egru_fifo.sv", 3, "branch", "if", "4"), taken),
            (record("egru_fifo.sv", 3, "branch", "else"), 7 - taken),
            (record("egru_fifo.sv", 1, "toggle", "data[3]:0->1"), taken),
            (record("egru_fifo.sv", 1, "toggle", "gen_x[0].mem[4][3]:0->1"), 5),
        )
    assert read_coverage(tmp_path) == {
        Point("egru_fifo", LINE, "2: always begin"): 14,
        Point("egru_fifo", LINE, "3: if (push)"): 14,
        Point("egru_fifo", LINE, "4: a <= b;"): 3,
        Point("egru_fifo", BRANCH, "3: if (push) [5 if]"): 3,
        Point("egru_fifo", BRANCH, "3: if (push) [5 else]"): 11,
        Point("egru_fifo", TOGGLE, "data[3]:0->1"): 3,
    }


def test_generated_lines_count_under_their_template_wherever_they_stand(tmp_path: Path) -> None:
    for number, source in enumerate(("egru_layer0.sv", "egru_layers.sv")):
        text = "\n" * number + "  ready_q <= 1'b0;\n"
        write_run(tmp_path / source, source, text, (record(source, number + 1, "line", "block", str(number + 1)), number))
    assert read_coverage(tmp_path) == {Point("engine.sv.j2", LINE, "ready_q <= 1'b0;"): 1}


def test_of_the_points_only_their_cases_count_and_other_files_do_not(tmp_path: Path) -> None:
    name = "egru_fifo_coverage.sv"
    write_run(
        tmp_path / "a", name, "full: cover\n", (record(name, 1, "user", "full", "1"), 4), (record(name, 1, "toggle", "full_q:0->1"), 4)
    )
    write_run(tmp_path / "b", "egru_board.sv", "x\n", (record("egru_board.sv", 1, "line", "block", "1"), 4))
    assert read_coverage(tmp_path) == {Point("egru_fifo", COVER, "full"): 4}


def test_every_file_of_points_is_of_a_module_and_says_each_case_once() -> None:
    points = cover_points()
    assert len(points) == len(set(points))
    assert all(point.module for point in points)
    files = sorted(COVERAGE_POINTS.glob("*.sv"))
    assert len({point.module for point in points}) == len(files)
    for path in files:
        assert f"module {path.stem} " in path.read_text()
        assert f"bind {path.stem.removesuffix('_coverage')} {path.stem} " in path.read_text()


@pytest.mark.parametrize("features", [0, 3])
def test_the_points_of_the_top_hold_for_tokens_and_for_features(features: int, tmp_path: Path) -> None:
    write(random_model(RandomModelSpec(hidden=(8,), features=features)), HardwareConfig(lanes=2), tmp_path / "core")
    sources = [*closure(["egru_top"], tmp_path / "core" / "rtl"), COVERAGE_POINTS / "egru_top_coverage.sv"]
    ignored = COVERAGE_FLAGS[-1].removeprefix("-Wno-")
    assert [line for line in lint(sources, "egru_top", library=None) if ignored not in line] == []


@pytest.mark.parametrize("covered", [False, True])
def test_only_the_variable_changes_a_build(covered: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []

    def note(name: str, tools: object, inputs: object, *_: object, **__: object) -> Path:
        asked.append(tools)
        return tmp_path

    monkeypatch.setattr(runner, "kept_build", note)
    monkeypatch.delenv(COVERAGE_VARIABLE, raising=False)
    if covered:
        monkeypatch.setenv(COVERAGE_VARIABLE, str(tmp_path))
    build_simulation("egru_fifo", [LIBRARY / "egru_fifo.sv"], {}, cache=tmp_path, waves=False)
    assert all((flag in str(asked)) is covered for flag in COVERAGE_FLAGS)
