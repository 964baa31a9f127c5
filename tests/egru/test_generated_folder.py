"""`egru generate --board`, `egru verify`, and what other commands say of a folder that was changed."""

import json
import shutil
from pathlib import Path

import pytest

from egru.artifacts import changes_remark, choose_stimulus
from hls_gen.manifest import MANIFEST_FILE, read_manifest
from hls_gen.testbench import SEQUENCES, STEPS
from sw_model.datasets import EMBEDDED, load_text
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from tests.egru.conftest import Outcome, Tiny, egru


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    random_model(RandomModelSpec(hidden=(6, 5), classes=4, tokens=7)).save(folder)
    return folder


def generate(model: Path, out: Path, *options: object) -> Outcome:
    return egru("generate", model, "--lanes", "2,2,1", "--out", out, "--json", *options)


def test_generate_for_a_board_says_what_it_made(model: Path, tmp_path: Path) -> None:
    report = generate(model, tmp_path / "out", "--board", "ulx3s_85f", "--clock-mhz", 40).json()
    assert (report["board"], report["core_mhz"], report["stimulus"]) == ("ulx3s_85f", 40.0, "random tokens")
    assert (tmp_path / "out" / "rtl" / "egru_board.sv").is_file()
    assert changes_remark(tmp_path / "out") == ""


def test_a_clock_needs_a_board(model: Path, tmp_path: Path) -> None:
    done = generate(model, tmp_path / "out", "--clock-mhz", 40)
    assert done.code == 2
    assert "--clock-mhz 40 has no meaning without --board" in done.err
    assert not (tmp_path / "out").exists()


def test_verify_accepts_what_was_generated(model: Path, tmp_path: Path) -> None:
    generate(model, tmp_path / "out").json()
    report = egru("verify", tmp_path / "out", "--json").json()
    assert (report["changes"], report["same_generator"], report["board"]) == ([], True, None)
    (tmp_path / "out" / "build").mkdir()  # as make sim leaves it
    (tmp_path / "out" / "build" / "log").write_text("")
    assert egru("verify", tmp_path / "out").code == 0


def test_verify_names_what_was_changed(model: Path, tmp_path: Path) -> None:
    generate(model, tmp_path / "out").json()
    with (tmp_path / "out" / "mem" / "tanh.mem").open("a") as file:
        file.write("0\n")
    (tmp_path / "out" / "Makefile").unlink()
    done = egru("verify", tmp_path / "out", "--json")
    assert done.code == 1
    assert json.loads(done.out)["changes"] == ["Makefile is gone", "mem/tanh.mem was changed"]
    assert done.err.endswith("Makefile is gone; mem/tanh.mem was changed\n")


def test_verify_refuses_what_was_not_generated(model: Path) -> None:
    done = egru("verify", model.parent)
    assert done.code == 2
    assert "holds no manifest.json" in done.err


def test_simulate_warns_of_changes_and_goes_on(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    generate(model, out).json()
    with (out / "rtl" / "egru_top.sv").open("a") as file:
        file.write("// a note of the user's\n")
    done = egru("simulate", out, "--steps", 12, "--out", tmp_path / "simulation", "--json")
    assert done.json()["mismatches"] == 0
    assert "is not as it was generated: rtl/egru_top.sv was changed; egru verify shows all" in " ".join(done.err.split())


def test_a_folder_without_a_manifest_is_read(model: Path, tmp_path: Path) -> None:
    generate(model, tmp_path / "out").json()
    (tmp_path / "out" / MANIFEST_FILE).unlink()
    assert changes_remark(tmp_path / "out") == ""


def test_the_testbench_shows_held_out_text_where_the_model_knows_it(model: Path) -> None:
    loaded, text = QuantizedModel.load(model), load_text()
    drawn = random_model(RandomModelSpec(hidden=(6,), classes=4, tokens=len(text.vocabulary)))
    knowing = QuantizedModel(
        **{name: getattr(drawn, name) for name in ("formats", "input_projection", "layers", "decoder", "sigmoid_table", "tanh_table")},
        vocabulary=text.vocabulary,
        metadata={"data": {"name": EMBEDDED, "unit": "characters"}},
    )
    stimulus = choose_stimulus(knowing)
    assert stimulus.title == f"held-out characters of {EMBEDDED}"
    assert [token for sequence in stimulus.sequences for token in sequence] == text.test[:STEPS].tolist()
    assert len(stimulus.sequences) == SEQUENCES
    assert choose_stimulus(loaded).title == "random tokens"
    # Another Python's text has other characters.
    strange = QuantizedModel(
        **{name: getattr(knowing, name) for name in ("formats", "input_projection", "layers", "decoder", "sigmoid_table", "tanh_table")},
        vocabulary=tuple(f"{symbol}?" for symbol in text.vocabulary),
        metadata=knowing.metadata,
    )
    assert choose_stimulus(strange).title == "random tokens"


def test_a_trained_model_generates_a_folder_that_verifies(tiny: Tiny, tmp_path: Path) -> None:
    copy = tmp_path / "rtl"
    shutil.copytree(tiny.rtl, copy)
    assert egru("verify", copy).code == 0
    assert read_manifest(copy).model_hash == QuantizedModel.load(tiny.model).content_hash()
