"""`egru build` of HLS C++: what is refused, and what a failing compiler leaves behind. A script stands in for Bambu."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from egru.hls_build import require_compiler
from hls_gen import hls_backend, rtl_backend
from hls_gen.hardware_config import HardwareConfig
from sw_model.random_model import RandomModelSpec, random_model
from tests.egru.conftest import egru

MODEL = random_model(RandomModelSpec(hidden=(6, 5), classes=4, tokens=7))
CONFIG = HardwareConfig(lanes=(2, 2, 1))
#: Notes its arguments beside itself, then does what the test says with the name of the process.
FAKE = """#!{python}
import sys, time
from pathlib import Path
if "--version" in sys.argv:
    print("Copyright\\n Version: PandA 2024.10 - Revision 1")
    sys.exit()
process = next(word.partition("=")[2] for word in sys.argv if word.startswith("--top-fname="))
with open({calls!r}, "a") as calls:
    calls.write(process + "\\n")
assert Path(sys.argv[1]).is_file()
{body}
"""
COMPILES = 'Path(process + ".v").write_text(f"module {process}();\\nendmodule\\n")'

FakeBambu = Callable[[str], Path]


@pytest.fixture
def fake_bambu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBambu:
    """Put a `bambu` on PATH that does what it is given, in Python; returns the file with the names of the processes it was asked for."""

    def make(body: str) -> Path:
        folder = tmp_path / "programs"
        folder.mkdir()
        calls, program = folder / "calls", folder / "bambu"
        calls.touch()
        program.write_text(FAKE.format(python=sys.executable, calls=str(calls), body=body))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return calls

    return make


@pytest.fixture(scope="module")
def hls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    hls_backend.write_core(MODEL, hls_backend.generate(MODEL, CONFIG), folder)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output folder, in a folder of its own: what else appears there is left behind."""
    return tmp_path / "results" / "build"


def refusal(out: Path, *arguments: object) -> str:
    """Return the one line that a build is refused with."""
    done = egru("build", *arguments, "--out", out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    return done.err.strip().removeprefix("error: ")


def test_without_the_compiler_it_says_where_to_get_it(hls: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal(out, hls)
    assert said.startswith("program bambu is not on PATH; build PandA-bambu 2024.10 or later from its public source")
    assert not out.parent.exists()


def test_a_compiler_that_does_not_run_is_named(hls: Path, out: Path, fake_bambu: FakeBambu) -> None:
    program = fake_bambu("").parent / "bambu"
    program.write_text("#!/no/such/interpreter\n")
    assert refusal(out, hls).startswith("program bambu does not run: ")
    assert not out.parent.exists()


def test_the_version_is_read(fake_bambu: FakeBambu) -> None:
    fake_bambu("")
    assert require_compiler() == "bambu 2024.10"


def test_a_failing_compiler_is_one_line_with_the_kept_log(hls: Path, out: Path, fake_bambu: FakeBambu) -> None:
    fake_bambu('print("reading"); print("error -> no such thing"); print("Please report bugs to <nobody>"); sys.exit(3)')
    said = refusal(out, hls, "--jobs", 1)
    first = hls_backend.generate(MODEL, CONFIG).processes[0].name
    kept = out.with_name(f"{out.name}.{first}.log")
    assert said == f"program bambu failed: error -> no such thing; see {kept}"
    assert kept.read_text().startswith("reading\n")
    assert list(out.parent.iterdir()) == [kept]


def test_the_others_are_stopped_when_one_fails(hls: Path, out: Path, fake_bambu: FakeBambu) -> None:
    calls = fake_bambu('time.sleep(0.5 if process == "layer0_lane0" else 60); sys.exit(3)')
    started = time.monotonic()
    said = refusal(out, hls, "--jobs", 2)
    assert time.monotonic() - started < 30
    kept = out.with_name(f"{out.name}.layer0_lane0.log")
    assert said == f"program bambu failed: exit code 3; see {kept}"
    assert list(out.parent.iterdir()) == [kept]
    assert len(calls.read_text().split()) < len(hls_backend.generate(MODEL, CONFIG).processes)


def test_a_compiler_that_writes_nothing_is_named_with_its_log(hls: Path, out: Path, fake_bambu: FakeBambu) -> None:
    fake_bambu(f'print("done")\nif process != "layer1_merge":\n    {COMPILES}')
    said = refusal(out, hls)
    kept = out.with_name(f"{out.name}.layer1_merge.log")
    assert said == f"program bambu wrote no layer1_merge.v; see {kept}"
    assert kept.read_text() == "done\n"
    assert list(out.parent.iterdir()) == [kept]


def test_a_file_without_modules_is_refused(hls: Path, out: Path, fake_bambu: FakeBambu) -> None:
    fake_bambu('Path(process + ".v").touch()')
    assert refusal(out, hls).startswith("what bambu wrote holds no module")
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--board", "arty_a7_100t"), "board arty_a7_100t (xc7) is of no family that is built with bambu (ecp5); "),
        (("--board", "pynq_z2"), "board pynq_z2 (xc7) is of no family that is built with bambu (ecp5); "),
        (("--board", "icebreaker"), "board icebreaker (ice40up) is of no family that is built with bambu (ecp5); "),
        (("--board", "ulx4s"), "board 'ulx4s' is not known; "),
        (("--clock-mhz", "900"), "clock 900 MHz is outside the PLL's"),
        (("--seed", "1", "--seed", "1"), "seeds=[1, 1] must be different numbers"),
        (("--jobs", "0"), "jobs=0 is not positive"),
        (("--backend", "rtl"), "folder {hls} holds HLS C++, not SystemVerilog; give a folder that egru generate --backend rtl wrote"),
    ],
)
def test_what_cannot_be_built_is_refused_before_anything_is_compiled(
    hls: Path, out: Path, fake_bambu: FakeBambu, arguments: tuple[str, ...], expected: str
) -> None:
    calls = fake_bambu(COMPILES)
    assert refusal(out, hls, *arguments).startswith(expected.format(hls=hls))
    assert calls.read_text() == ""
    assert not out.parent.exists()


def test_a_compiler_has_no_meaning_for_rtl(out: Path, tmp_path: Path) -> None:
    rtl_backend.write(MODEL, CONFIG, tmp_path / "rtl")
    assert refusal(out, tmp_path / "rtl", "--compiler", "bambu").startswith("--compiler bambu has no meaning for ")
    assert refusal(out, tmp_path / "rtl", "--backend", "hls").endswith("give a folder that egru generate --backend hls wrote")
    assert not out.parent.exists()


def test_results_are_not_overwritten(hls: Path, out: Path, fake_bambu: FakeBambu) -> None:
    calls = fake_bambu(COMPILES)
    out.mkdir(parents=True)
    (out / "build.json").write_text("{}")
    assert "already holds results" in refusal(out, hls)
    assert calls.read_text() == ""


def test_another_model_than_the_descriptions_is_refused(hls: Path, out: Path, tmp_path: Path, fake_bambu: FakeBambu) -> None:
    calls = fake_bambu(COMPILES)
    broken = shutil.copytree(hls, tmp_path / "broken")
    hardware = json.loads((broken / "hardware.json").read_text())
    (broken / "hardware.json").write_text(json.dumps(hardware | {"model_hash": "0" * 64}))
    assert "belongs to another model" in refusal(out, broken)
    assert calls.read_text() == ""
