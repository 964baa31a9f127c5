"""The generated HLS folder stands alone: `make csim` proves it with g++, build.tcl does with stubbed Vitis HLS what it should."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hls_gen.board import load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import CSIM_SOURCE
from hls_gen.hls_project import DEFAULT_PART, STAGES, choose_target, write_hls_project
from hls_gen.manifest import MANIFEST_FILE, differences, read_manifest
from hls_gen.testbench import SEQUENCES, STEPS, Stimulus, event_order
from sim.hls_headers import find_headers
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import EventDrivenStream
from tests.hls_gen.stubbed_tcl import RefusedError, StubbedTcl, tkinter

MODEL = random_model(RandomModelSpec(hidden=(12, 10), classes=9, tokens=7))
CONFIG = HardwareConfig(lanes=(4, 2, 3), lanes_per_update_unit=2)
FEATURES = random_model(RandomModelSpec(hidden=(9, 5), features=6, encoding="delta", density=0.5, classes=4))
SMALL = random_model(RandomModelSpec(hidden=(4, 3), classes=3, tokens=3))
# No virtual environment on PATH: as for a user who has not this package.
PATH = os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin"])
# What a user adds to have the core simulated as it is synthesised: exact widths, and (see `vendor_axis`) the vendor's beats.
EXACT = "CXXFLAGS=-O0 -DEGRU_EXACT_WIDTHS"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "hls"
    write_hls_project(MODEL, CONFIG, folder)
    return folder


@pytest.fixture(scope="module")
def simulated(written: Path, tmp_path_factory: pytest.TempPathFactory, csim: None) -> Path:
    """The folder with its testbench built and run once; see the first test for what that said."""
    folder = tmp_path_factory.mktemp("simulated") / "hls"
    shutil.copytree(written, folder)
    done = make(folder, "csim")
    (folder.parent / "said").write_text(done.stdout + done.stderr)
    return folder


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, csim: None) -> Path:
    """The folder of a model of features, with its testbench built."""
    folder = tmp_path_factory.mktemp("features") / "hls"
    write_hls_project(FEATURES, CONFIG, folder)
    done = make(folder, "csim", "CXXFLAGS=-O0 -Wall -Wextra -Wconversion -Wno-uninitialized -Wno-maybe-uninitialized")
    assert re.fullmatch(rf"PASS: {STEPS} steps, \d\d+ events and {STEPS * 4} logits equal to the reference", done.stdout.splitlines()[-1])
    assert "warning" not in done.stdout + done.stderr
    return folder


@pytest.fixture
def damaged(simulated: Path, tmp_path: Path) -> Path:
    """A copy with its times: what is not changed is not built anew."""
    shutil.copytree(simulated, tmp_path / "damaged", copy_function=shutil.copy2)
    return tmp_path / "damaged"


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": PATH, "LC_ALL": "C", **variables}
    if "csim" in arguments and "HLS_INCLUDE" not in variables and "EGRU_HLS_INCLUDE" not in variables:
        environment["HLS_INCLUDE"] = str(find_headers().folder)
    return subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def change(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


# ---- the folder -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["hls/egru_top.cpp", "hls/egru_top.hpp", "hls/egru_model.hpp", "scripts/build.tcl"])
def test_generated_files_are_as_they_were(golden: Callable[[str, str], None], tmp_path: Path, file: str) -> None:
    write_hls_project(SMALL, HardwareConfig(lanes=(2, 1, 1)), tmp_path / "out", part="xc7z020clg400-1", clock_mhz=125)
    golden(Path(file).name, (tmp_path / "out" / file).read_text())


@pytest.mark.parametrize("board", [None, "kv260"])
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, board: str | None) -> None:
    for name in ("a", "elsewhere/b"):
        write_hls_project(MODEL, CONFIG, tmp_path / name, board=load_board(board) if board else None)
    first, second = files_of(tmp_path / "a"), files_of(tmp_path / "elsewhere" / "b")
    assert len(first) > 20
    assert first == second


def test_no_file_tells_where_it_was_made(written: Path) -> None:
    here = [str(written.parent), str(Path(__file__).parents[2]), str(Path.home()), sys.prefix]
    for name, content in files_of(written).items():
        assert not [place for place in here if len(place) > 1 and place.encode() in content], name
        assert not re.search(rb"\{\{ |\{%", content), f"{name}: a template mark was left unfilled"


def test_the_manifest_names_every_file(written: Path) -> None:
    manifest = read_manifest(written)
    assert set(manifest.files) == set(files_of(written)) - {MANIFEST_FILE}
    assert (manifest.model_hash, manifest.board, manifest.core_mhz) == (MODEL.content_hash(), None, 100.0)
    assert HardwareConfig.model_validate(manifest.hardware) == CONFIG
    assert differences(written) == []


def test_the_readme_names_every_stream_and_says_what_was_not_run(written: Path) -> None:
    text = (written / "README.md").read_text()
    for port in ("s_axis", "m_axis", "layer0_events", "layer1_events"):
        assert f"| `{port}` |" in text
    assert "**Not run where this was written: Vitis HLS.**" in text
    for name in re.findall(r"^\| `([^`]+)` \|", text.partition("## Files")[2], re.MULTILINE):
        assert all((written / part).exists() for part in name.split(", ")), name


def test_a_board_gives_part_and_clock(tmp_path: Path) -> None:
    project = write_hls_project(SMALL, HardwareConfig(lanes=1), tmp_path / "out", board=load_board("zcu104"))
    assert (project.manifest.board, project.manifest.core_mhz) == ("zcu104", load_board("zcu104").clock.core_mhz)
    assert load_board("zcu104").part in (tmp_path / "out" / "scripts" / "build.tcl").read_text()


@pytest.mark.parametrize(
    ("board", "part", "clock_mhz", "expected"),
    [
        ("ulx3s_85f", None, None, "board ulx3s_85f is no board of AMD's.*; use arty_a7_100t, kv260, pynq_z2, zcu104, or --backend rtl"),
        ("kv260", "xc7a35tcpg236-1", None, "--part xc7a35tcpg236-1 disagrees with --board kv260, which has xck26"),
        (None, "lfe5u-85f", None, "--part lfe5u-85f is no part number of AMD's; give e.g. xc7a100tcsg324-1"),
        (None, "xc7a35t}; exec rm", None, "is no part number of AMD's"),
        (None, None, 0.0, "--clock-mhz 0 is outside 1 to 1000; give e.g. 100"),
        ("kv260", None, 1e6, r"--clock-mhz 1e\+06 is outside"),
        (None, None, float("nan"), "--clock-mhz nan is outside"),
    ],
)
def test_a_target_that_will_not_do_is_refused(board: str | None, part: str | None, clock_mhz: float | None, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        choose_target(load_board(board) if board else None, part, clock_mhz)


# ---- make csim --------------------------------------------------------------------------------------------------------------------------


def test_make_csim_passes_on_every_word_of_the_reference(simulated: Path) -> None:
    said = (simulated.parent / "said").read_text()
    passed = re.search("^PASS: .*$", said, re.MULTILINE)
    assert passed, said
    assert "warning" not in said.lower()
    stream = EventDrivenStream(MODEL)
    words = [int(word, 16) for word in (simulated / "tb" / "tokens.mem").read_text().split()]
    for word in words:
        stream.step(word & 0xFFFF)
        if word >> 16:
            stream.reset()
    assert sum(word >> 16 for word in words) == SEQUENCES
    counted = [int(number) for number in re.findall(r"\d+", passed.group())]
    assert counted == [STEPS, sum(stream.counts.events), STEPS * MODEL.classes]
    assert counted[1] > 100


def test_vitis_runs_the_testbench_where_it_has_copied_the_vectors(simulated: Path, tmp_path: Path) -> None:
    for path in (simulated / "tb").glob("*.mem"):
        shutil.copy(path, tmp_path)
    done = subprocess.run([simulated / "build" / "csim" / "egru_tb"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:5]) == (0, "PASS:")


@pytest.mark.parametrize(
    ("file", "damage", "expected"),
    [
        (
            "logits.mem",
            lambda words: [words[0] ^ 1, *words[1:]],
            r"step 0, decoder, class 0: logit -?\d+ with TLAST 0; expected logit -?\d+ ",
        ),
        ("logits.mem", lambda words: [*words[:-1], words[-1] ^ 1 << 32], r"step 47, decoder, class 8: .* TLAST 1; expected .* TLAST 0"),
        (
            "events.mem",
            lambda words: [words[0] + 1, *words[1:]],
            r"step 0, layer0: neuron (\d+) with value \d+; expected neuron \1 with value",
        ),
        ("events.mem", lambda words: [1 << 32, *words[:-1]], r"step 0, layer0: neuron \d+ with value \d+; expected the end of the step"),
        ("events.mem", lambda words: [words[0], *words], r"events\.mem holds \d+ words, expected \d+"),
        (
            "events.mem",
            lambda words: [12 << 16 | 1, *words[1:]],
            r"step 0, layer0: .*; expected index 12, which no neuron has, with value 1",
        ),
        ("tokens.mem", lambda words: [(words[0] + 1) % MODEL.tokens, *words[1:]], r"step 0, layer0: "),
        ("tokens.mem", lambda words: [1 << 16 | words[0], *words[1:]], r"step 0, decoder, class 8: .* TLAST 1; expected .* TLAST 0"),
        ("tokens.mem", lambda words: words[:-1], r"tokens\.mem holds 47 words, expected 48"),
        ("tokens.mem", None, r"tokens\.mem holds 0 words, expected 48"),
    ],
)
def test_the_testbench_fails_on_a_wrong_vector(
    damaged: Path, file: str, damage: Callable[[list[int]], list[int]] | None, expected: str
) -> None:
    path = damaged / "tb" / file
    words = [int(word, 16) for word in path.read_text().split()]
    if damage is None:
        path.unlink()
    else:
        path.write_text("".join(f"{word:x}\n" for word in damage(words)))
    done = subprocess.run([damaged / "build" / "csim" / "egru_tb"], cwd=damaged, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(f"^FAIL: {expected}", done.stdout), done.stdout
    assert "PASS" not in done.stdout


def test_make_csim_fails_on_wrong_weights(damaged: Path) -> None:
    path = damaged / "hls" / "egru_tables.hpp"
    before, name, after = path.read_text().partition("layer1_lane0_entries_words[")
    table, end, rest = after.partition("};")
    # The lowest bit of every weight: which columns are walked, and which neurons fire, depends on the draw.
    table = re.sub(r"0x(\w+)", lambda word: f"0x{int(word.group(1), 16) ^ 1:x}", table)
    path.write_text(before + name + table + end + rest)
    done = make(damaged, "csim", "CXXFLAGS=-O0")
    assert done.returncode != 0
    assert re.search(r"^FAIL: step \d+, layer1: .* with value \d+; expected ", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert "PASS" not in done.stdout


#: The members of the vendor's hls::axis without side channels, which only Vitis HLS brings.
VENDOR_AXIS = """
#pragma once
#include <ap_int.h>
#include <cstddef>
namespace hls {
struct axis_disabled_signal {};
template <typename T, std::size_t User, std::size_t Id, std::size_t Dest>
struct axis {
  T data;
  ap_uint<(T::width + 7) / 8> keep, strb;
  axis_disabled_signal user;
  ap_uint<1> last;
  axis_disabled_signal id, dest;
};
}
"""


@pytest.mark.parametrize(("model", "what"), [(MODEL, "tokens"), (FEATURES, "steps")], ids=["tokens", "features"])
def test_the_core_is_equal_with_the_types_of_synthesis(model: QuantizedModel, what: str, tmp_path: Path, csim: None) -> None:
    write_hls_project(model, CONFIG, tmp_path / "hls")
    shutil.copytree(find_headers().folder, tmp_path / "include")
    (tmp_path / "include" / "ap_axi_sdata.h").write_text(VENDOR_AXIS)
    done = make(tmp_path / "hls", "csim", EXACT, HLS_INCLUDE=str(tmp_path / "include"))
    assert done.returncode == 0, done.stderr
    assert f"PASS: {STEPS} {what}, " in done.stdout


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda words: [word & 0x1FF00 | 1 if word & 0xFF else word for word in words], r"step \d, layer0: "),
        (lambda words: [word | 1 << 16 if word & 0xFF else word for word in words], r"step \d, registers: token_errors [1-9]\d*, "),
        (lambda words: [word + (1 << 8) if word & 0xFF else word for word in words], r"step \d, layer0: "),
        (lambda words: [*words[:-1], 6 << 8], r"step 47, decoder, class 3: .* TLAST 0; expected .* TLAST 1"),
        (lambda words: [*words[:-1], 6 << 8 | 1 << 16], r"step 47, registers: token_errors 1, "),
        (lambda words: [*words[:-1], 1], r"step 47, tokens\.mem: no more words; expected the end of the step"),
        (lambda words: [word for word in words if word & 0xFF == 0] + [1] * sum(word & 0xFF > 0 for word in words), r"step \d, layer0: "),
        (lambda words: words[:-1], r"tokens\.mem holds \d+ words, expected \d+"),
    ],
)
def test_the_testbench_fails_on_a_wrong_word(
    features: Path, tmp_path: Path, damage: Callable[[list[int]], list[int]], expected: str
) -> None:
    shutil.copytree(features / "tb", tmp_path / "tb")
    path = tmp_path / "tb" / "tokens.mem"
    words = [int(word, 16) for word in path.read_text().split()]
    assert words[-1] == 1 << 16
    path.write_text("".join(f"{word:x}\n" for word in damage(words)))
    done = subprocess.run([features / "build" / "csim" / "egru_tb"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.match(f"FAIL: {expected}", done.stdout), done.stdout


def test_make_says_where_to_get_the_headers(written: Path) -> None:
    done = make(written, "csim", HLS_INCLUDE="")
    assert done.returncode != 0
    assert "ap_int.h was not found: source the settings of Vitis HLS, or pip install --no-deps hls4ml, or give HLS_INCLUDE=" in done.stderr
    assert not (written / "build").exists()


@pytest.mark.parametrize("variable", ["EGRU_HLS_INCLUDE", "XILINX_HLS", "XILINX_VITIS", "PATH"])
def test_make_finds_the_headers(written: Path, tmp_path: Path, variable: str) -> None:
    folder = tmp_path if variable == "EGRU_HLS_INCLUDE" else tmp_path / "include"
    folder.mkdir(exist_ok=True)
    (folder / "ap_int.h").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "vitis_hls").touch(mode=0o755)
    value = f"{tmp_path / 'bin'}{os.pathsep}{PATH}" if variable == "PATH" else str(tmp_path)
    command = ["make", "--dry-run", "csim"]
    environment = {"PATH": PATH, "LC_ALL": "C"} | {variable: value}
    done = subprocess.run(command, cwd=written, env=environment, capture_output=True, text=True, check=True)
    assert f"-isystem {folder} " in done.stdout


def test_events_are_expected_unit_by_unit_row_by_row_lane_by_lane() -> None:
    from hls_gen.hardware_config import plan

    engine = plan(MODEL, CONFIG).engines[0]
    assert (engine.lanes, engine.rows, engine.update_units) == (4, 3, 2)
    order = [lane * 3 + row for unit in (0, 1) for row in range(3) for lane in (2 * unit, 2 * unit + 1)]
    assert event_order(engine).tolist() == order


def test_a_chosen_stimulus_is_what_is_shown(tmp_path: Path) -> None:
    write_hls_project(MODEL, CONFIG, tmp_path / "out", stimulus=Stimulus(((1, 2, 3), (6,)), "chosen tokens"))
    assert (tmp_path / "out" / "tb" / "tokens.mem").read_text() == "00001\n00002\n10003\n10006\n"
    beats = [int(word, 16) for word in (tmp_path / "out" / "tb" / "events.mem").read_text().split()]
    assert sum(beat >> 32 for beat in beats) == 4 * len(MODEL.layers)
    stream = EventDrivenStream(MODEL)
    step = stream.step(1)
    first = beats[: beats.index(1 << 32)]
    assert sorted(beat & 0xFFFF for beat in first) == sorted(step.events[0][step.fired[0]].tolist())
    assert len(np.unique([beat >> 16 for beat in first])) == len(first) > 0
    assert "chosen tokens" in (tmp_path / "out" / "README.md").read_text()


# ---- make vitis and build.tcl -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["vitis_hls", "vitis-run"])
def test_make_vitis_hands_on_stages_part_and_clock(written: Path, tmp_path: Path, program: str) -> None:
    folder = tmp_path / "hls"
    shutil.copytree(written, folder)
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / program
    tool.write_text('#!/bin/sh\necho "$PWD: $STAGES, $PART, $CLOCK_MHZ: $*"\n')
    tool.chmod(0o755)
    path = f"{tool.parent}{os.pathsep}{PATH}"
    how = {"vitis_hls": "-f", "vitis-run": "--mode hls --tcl"}[program]
    said = make(folder, "vitis", PATH=path).stdout.splitlines()[-1]
    assert said == f"{folder / 'build'}: csim csynth export, {DEFAULT_PART}, 100: {how} ../scripts/build.tcl"
    said = make(folder, "vitis", "STAGES=csynth", "PART=xc7z020clg400-1", "CLOCK_MHZ=150", PATH=path).stdout.splitlines()[-1]
    assert said == f"{folder / 'build'}: csynth, xc7z020clg400-1, 150: {how} ../scripts/build.tcl"


EXPORT_OPTIONS = {"-rtl", "-format", "-output", "-vendor", "-library", "-version", "-display_name"}


class VitisHls(StubbedTcl):
    """Vitis HLS as far as build.tcl needs it: knows its folder and its state, and refuses what the vendor's would refuse."""

    COMMANDS = (
        *("open_project", "set_top", "add_files", "open_solution", "set_part", "create_clock", "config_rtl"),
        *("csim_design", "csynth_design", "cosim_design", "export_design", "exit", "puts"),
    )

    def __init__(self, folder: Path, arguments: str, failing: str = "") -> None:
        super().__init__(folder, arguments)
        self.failing = failing
        self.state: dict[str, str] = {}
        self.design: list[Path] = []
        self.testbench: list[Path] = []
        self.done: list[str] = []
        self.code: int | None = None
        self.said = ""

    def run(self) -> "VitisHls":
        try:
            self.source("scripts/build.tcl")
        except tkinter.TclError as error:
            if self.code is None:
                raise AssertionError(f"the script broke: {error}") from None
        return self

    def do_exit(self, code: str) -> None:
        self.code = int(code)
        raise RefusedError("the end of the script")

    def do_puts(self, *arguments: str) -> None:
        self.said += arguments[-1] + "\n"

    def do_open_project(self, *arguments: str) -> None:
        self._plain(arguments, {"-reset"}, "project")

    def do_open_solution(self, *arguments: str) -> None:
        if "project" not in self.state or arguments[-2:] != ("-flow_target", "vivado"):
            raise RefusedError("no project, or no flow")
        self._plain(arguments[:-2], {"-reset"}, "solution")

    def _plain(self, arguments: tuple[str, ...], options: set[str], name: str) -> None:
        words = [word for word in arguments if word not in options]
        if len(words) != 1 or not re.fullmatch(r"\w+", words[0]):
            raise RefusedError(f"{words} is no name")
        self.state[name] = words[0]
        self.state[f"{name} reset"] = str("-reset" in arguments)

    def do_set_top(self, name: str) -> None:
        self.state["top"] = name

    def do_add_files(self, *arguments: str) -> None:
        testbench = arguments[0] == "-tb"
        file, option, flags = arguments[int(testbench) :]
        if "solution" in self.state or option != "-cflags":
            raise RefusedError("too late, or no flags")
        words = flags.split()
        include = next(word.removeprefix("-I") for word in words if word.startswith("-I"))
        if "-std=c++17" not in words or len(words) != 2 or not Path(include, "egru_top.hpp").is_file():
            raise RefusedError(f"flags {flags}")
        (self.testbench if testbench else self.design).extend(self._existing([file]))

    def do_set_part(self, part: str) -> None:
        if "solution" not in self.state or not re.fullmatch(r"xc[\w-]+", part):
            raise RefusedError("no solution, or no part")
        self.state["part"] = part

    def do_create_clock(self, *arguments: str) -> None:
        self.state["period"] = self._option(arguments, "-period")
        assert float(self.state["period"]) > 0

    def do_config_rtl(self, *arguments: str) -> None:
        if self._option(arguments, "-reset") not in ("none", "control", "state", "all"):
            raise RefusedError("no kind of reset")

    def _stage(self, name: str) -> None:
        if not {"top", "part", "period"} <= set(self.state):
            raise RefusedError("the solution is not complete")
        if not any(re.search(rf"^void {self.state['top']}\(", path.read_text(), re.MULTILINE) for path in self.design):
            raise RefusedError(f"no function {self.state['top']}")
        if self.failing == name:
            raise RefusedError("failed")
        self.done.append(name)

    def do_csim_design(self) -> None:
        self._stage("csim")

    def do_csynth_design(self) -> None:
        self._stage("csynth")

    def do_cosim_design(self, *arguments: str) -> None:
        assert arguments == ("-rtl", "verilog")
        self._stage("cosim")

    def do_export_design(self, *arguments: str) -> None:
        given = dict(zip(arguments[::2], arguments[1::2], strict=True))
        if set(given) != EXPORT_OPTIONS or (given["-rtl"], given["-format"]) != ("verilog", "ip_catalog"):
            raise RefusedError(f"{given}")
        self._stage("export")


@pytest.fixture
def vitis(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., VitisHls]:
    """Runs the script in a copy of the folder; it leaves the process in another working folder, as it may."""
    folder = tmp_path / "hls"
    shutil.copytree(written, folder)
    monkeypatch.chdir(tmp_path)
    for variable in ("STAGES", "PART", "CLOCK_MHZ"):
        monkeypatch.delenv(variable, raising=False)

    def run(arguments: str = "-f hls/scripts/build.tcl", *, failing: str = "", folder: Path = folder, **variables: str) -> VitisHls:
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        return VitisHls(folder, arguments, failing).run()

    return run


def test_the_script_adds_every_file_and_does_its_stages(vitis: Callable[..., VitisHls]) -> None:
    done = vitis()
    assert (done.code, done.done) == (0, ["csim", "csynth", "export"]), done.said
    root = done.folder
    assert [path.relative_to(root).as_posix() for path in done.design] == ["hls/egru_top.cpp"]
    assert {path.relative_to(root).as_posix() for path in done.testbench} == {f"tb/{path.name}" for path in (root / "tb").iterdir()}
    assert done.testbench[0].name == "egru_tb.cpp"
    assert (done.state["top"], done.state["part"], done.state["period"]) == ("egru_top", DEFAULT_PART, "10.000")
    assert (done.state["project reset"], done.state["solution reset"]) == ("True", "True")
    assert Path.cwd() == root / "build"
    order = ["open_project", "set_top", "add_files", "open_solution", "set_part", "create_clock", "config_rtl", "csim_design"]
    assert list(dict.fromkeys(name for name in done.names() if name != "puts"))[:8] == order
    assert ("export_design", "-output", str(root / "build" / "egru_ip.zip")) in [
        (call[0], *call[index : index + 2]) for call in done.calls for index, word in enumerate(call) if word == "-output"
    ]


def test_the_script_names_every_header_of_the_core(vitis: Callable[..., VitisHls], written: Path) -> None:
    text = (written / "scripts" / "build.tcl").read_text()
    named = set(re.findall(r"^  (hls/\S+) \\$", text, re.MULTILINE))
    assert named == {name for name in files_of(written) if name.startswith("hls/")} - {f"hls/{CSIM_SOURCE}"}
    for lost in ("hls/lib/lane.hpp", "hls/egru_top.cpp", "tb/events.mem"):
        folder = vitis().folder
        (folder / lost).unlink()
        done = vitis()
        assert (done.code, done.done) == (1, [])
        assert f"ERROR: {lost} is missing or cannot be read; generate the folder again" in done.said
        shutil.copy(written / lost, folder / lost)


@pytest.mark.parametrize(
    ("arguments", "variables", "stages", "part", "period"),
    [
        ("-f build.tcl -tclargs csynth", {}, "csynth", DEFAULT_PART, "10.000"),
        # Not every version hands on more than what stands after -tclargs; the order is always the same.
        ("cosim csynth clock_mhz=200", {}, "csynth cosim", DEFAULT_PART, "5.000"),
        ("-f build.tcl -tclargs part=xcu250-figd2104-2L-e", {}, "csim csynth export", "xcu250-figd2104-2L-e", "10.000"),
        ("-f build.tcl", {"STAGES": "csim", "PART": "xc7z020clg400-1", "CLOCK_MHZ": "125"}, "csim", "xc7z020clg400-1", "8.000"),
        ("-f build.tcl -tclargs csynth clock_mhz=300", {"STAGES": "csim", "CLOCK_MHZ": "125"}, "csynth", DEFAULT_PART, "3.333"),
        ("", {"STAGES": " ".join(STAGES)}, " ".join(STAGES), DEFAULT_PART, "10.000"),
    ],
)
def test_stages_part_and_clock_can_be_chosen(
    vitis: Callable[..., VitisHls], arguments: str, variables: dict[str, str], stages: str, part: str, period: str
) -> None:
    done = vitis(arguments, **variables)
    assert done.code == 0, done.said
    assert (" ".join(done.done), done.state["part"], done.state["period"]) == (stages, part, period)
    assert done.state["project reset"] == str("csynth" in stages)


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        ("-f build.tcl -tclargs synth", {}, "argument synth is not known; give stages (csim csynth cosim export)"),
        ("", {"STAGES": "csim synth"}, "stage synth is not known; the stages are csim csynth cosim export"),
        ("", {"CLOCK_MHZ": "fast"}, "clock_mhz=fast is no clock; give e.g. 100"),
        ("clock_mhz=-5", {}, "clock_mhz=-5 is no clock"),
    ],
)
def test_a_mistake_ends_the_script_with_an_error(
    vitis: Callable[..., VitisHls], arguments: str, variables: dict[str, str], expected: str
) -> None:
    done = vitis(arguments, **variables)
    assert (done.code, done.done) == (1, [])
    assert f"ERROR: {expected}" in done.said


@pytest.mark.parametrize(("failing", "before"), [("csim", []), ("csynth", ["csim"]), ("export", ["csim", "csynth"])])
def test_a_failed_stage_is_the_last_one(vitis: Callable[..., VitisHls], failing: str, before: list[str]) -> None:
    done = vitis(failing=failing)
    assert (done.code, done.done) == (1, before)
    assert f"ERROR: {failing}_design: failed" in done.said


def test_a_path_with_a_blank_is_refused(written: Path, vitis: Callable[..., VitisHls], tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "my core")
    done = vitis(folder=tmp_path / "my core")
    assert (done.code, done.done) == (1, [])
    assert "has a blank in it" in done.said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("set_top egru_top", "set_top egru_topp"),
        ("-std=c++17", "-std=c++11"),
        ("-flow_target vivado", "-flow_target vitis"),
        ("  hls/egru_top.cpp", "  hls/egru_topp.cpp"),
        ("csynth_design", "csynthesis_design"),
        ("-format ip_catalog", "-format ip"),
    ],
)
def test_a_broken_script_is_caught(vitis: Callable[..., VitisHls], tmp_path: Path, old: str, new: str) -> None:
    change(tmp_path / "hls" / "scripts" / "build.tcl", old, new)
    done = vitis()
    assert done.code == 1
    assert "ERROR: " in done.said
