"""`egru simulate` of HLS C++, and what other commands make of such a folder."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from egru.artifacts import read_generated
from hls_gen import hls_backend, rtl_backend
from hls_gen.backend import Backend
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import HLS_FOLDER, TABLES_SOURCE
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model
from tests.egru.conftest import Outcome, egru

MODEL = random_model(RandomModelSpec(hidden=(6, 5), classes=4, tokens=7))
CONFIG = HardwareConfig(lanes=(2, 2, 1))


@pytest.fixture(scope="module")
def hls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    hls_backend.write_core(MODEL, hls_backend.generate(MODEL, CONFIG), folder)
    return folder


def simulate(folder: Path, out: Path, *options: object) -> Outcome:
    return egru("simulate", folder, "--steps", 20, "--out", out, *options)


@pytest.mark.usefixtures("csim")
def test_the_same_report_as_of_rtl_with_estimated_cycles(hls: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = simulate(hls, tmp_path / "out", "--backend", "hls", "--json").json()
    assert (report["backend"], report["timing"], report["steps"], report["mismatches"]) == ("hls", "estimated", 20, 0)
    assert report["values"] == 20 * (2 * (6 + 5) + 4) + 2 + 2 + 1  # sequence ends, halves of the hash, token errors
    assert report["events"] == sum(block["counters"]["own_events"] for block in report["blocks"])
    assert report["cycles_per_step"] == report["cycles"] / 20
    assert json.loads((tmp_path / "out" / "simulation.json").read_text()) == report
    assert Path(report["log"]) == tmp_path / "out" / "run.log"
    assert capfd.readouterr().out == ""


@pytest.mark.usefixtures("csim")
def test_the_table_says_what_is_estimated(hls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = simulate(hls, tmp_path / "out")
    assert done.code == 0
    assert "HLS C simulation = reference" in done.out
    assert "estimate: cycles per step and occupancy" in done.out


@pytest.mark.usefixtures("csim")
def test_a_mismatch_is_exit_code_1_and_one_line_with_the_saved_case(hls: Path, tmp_path: Path) -> None:
    broken, out = shutil.copytree(hls, tmp_path / "broken"), tmp_path / "out"
    tables = broken / HLS_FOLDER / TABLES_SOURCE
    flipped, count = re.subn(
        r"(decoder_bias_words\[4\] = \{\s*)(\w+)", lambda found: f"{found[1]}{int(found[2], 0) ^ 1:#x}", tables.read_text()
    )
    assert count == 1
    tables.write_text(flipped)
    done = simulate(broken, out, "--json")
    assert (done.code, done.out) == (1, "")
    line = done.err.splitlines()[-1]
    case = json.loads((out / "failure" / "case.json").read_text())
    first = f"step 0, layer decoder, neuron {case['neuron']}: logit is {case['observed']}, expected {case['expected']}; seed 1"
    assert line.startswith(f"check failed: C simulation failed with seed 1: {first}, case saved in {out / 'failure'}; ")
    assert abs(case["observed"] - case["expected"]) == 1


@pytest.mark.usefixtures("csim")
def test_a_source_that_does_not_compile_is_exit_code_1_and_names_the_log(hls: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(hls, tmp_path / "broken")
    (broken / HLS_FOLDER / TABLES_SOURCE).write_text("nonsense\n")
    done = simulate(broken, tmp_path / "out", "--json")
    assert (done.code, done.out) == (1, "")
    line = done.err.splitlines()[-1]
    assert line.startswith("check failed: build of egru_csim failed (")
    assert "nonsense" in Path(line.split("; log ")[1]).read_text()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--backend", "rtl"), "holds HLS C++, not SystemVerilog; give a folder that egru generate --backend rtl wrote"),
        (("--idle", "heavy"), "setting idle=heavy has no meaning in C simulation, which has no clock; leave it out, or simulate RTL"),
        (("--back-pressure", "bursts"), "setting back_pressure=bursts has no meaning in C simulation"),
        (("--waves",), "setting waves has no meaning in C simulation"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(hls: Path, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = simulate(hls, tmp_path / "out", *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not (tmp_path / "out").exists()


def test_missing_headers_and_a_missing_compiler_are_named(hls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGRU_HLS_INCLUDE", str(tmp_path))
    done = simulate(hls, tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert f"EGRU_HLS_INCLUDE={tmp_path} holds no ap_int.h and hls_stream.h; " in done.err
    for name in ("ap_int.h", "hls_stream.h"):
        (tmp_path / name).write_text("")
    monkeypatch.setenv("CXX", "no-such-c++")
    done = simulate(hls, tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert "C++ compiler no-such-c++ is not found; " in done.err
    assert not (tmp_path / "out").exists()


def test_folders_are_told_apart(hls: Path, tmp_path: Path) -> None:
    rtl_backend.write(MODEL, CONFIG, tmp_path / "rtl")
    assert read_generated(hls).backend is Backend.HLS
    assert read_generated(tmp_path / "rtl").backend is Backend.RTL
    assert read_generated(hls).lanes == [2, 2, 1]
    with pytest.raises(UserError, match="holds SystemVerilog, not HLS C"):
        read_generated(tmp_path / "rtl", Backend.HLS)
    hardware = tmp_path / "rtl" / "hardware.json"
    hardware.write_text(json.dumps(json.loads(hardware.read_text()) | {"format": "egru-vhdl"}))
    with pytest.raises(UserError, match="is truncated or altered"):
        read_generated(tmp_path / "rtl")
    broken = shutil.copytree(hls, tmp_path / "hls")
    (broken / HLS_FOLDER / "egru_csim.cpp").unlink()
    with pytest.raises(UserError, match=r"holds no hls/egru_csim\.cpp; give a folder that egru generate wrote"):
        read_generated(broken)


def test_no_board_is_simulated_around_c(hls: Path) -> None:
    done = egru("run", hls, "--port", "sim")
    assert done.code == 2
    assert "holds HLS C++, not SystemVerilog; " in done.err


def test_doctor_knows_headers_and_bambu_and_needs_neither(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "bambu").write_text("#!/bin/sh\necho Version: PandA 2024.10 - Revision x\n")
    (fake / "bambu").chmod(0o755)
    monkeypatch.setenv("PATH", str(fake), prepend=os.pathsep)
    monkeypatch.setenv("EGRU_HLS_INCLUDE", str(tmp_path))
    found = {tool["name"]: tool for tool in json.loads(egru("doctor", "--json").out)["tools"]}
    assert (found["bambu"]["status"], found["bambu"]["version"], found["bambu"]["required"]) == ("ok", "2024.10", False)
    headers = found["HLS headers"]
    assert (headers["status"], headers["required"]) == ("missing", False)
    assert "holds no ap_int.h" in headers["remedy"]
    for name in ("ap_int.h", "hls_stream.h"):
        (tmp_path / name).write_text("")
    found = {tool["name"]: tool for tool in json.loads(egru("doctor", "--json").out)["tools"]}
    assert (found["HLS headers"]["status"], found["HLS headers"]["version"]) == ("ok", "of EGRU_HLS_INCLUDE")
