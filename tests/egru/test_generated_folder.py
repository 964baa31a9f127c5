"""`egru generate --board`, `egru verify`, and what other commands say of a folder that was changed."""

import json
import shutil
from pathlib import Path

import pytest

from egru.artifacts import changes_remark
from egru.stimulus import choose_stimulus
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


# ---- HLS --------------------------------------------------------------------------------------------------------------------------------


def test_generate_hls_says_what_rtl_says_and_what_it_estimates(model: Path, tmp_path: Path) -> None:
    rtl = generate(model, tmp_path / "rtl").json()
    hls = generate(model, tmp_path / "hls", "--backend", "hls").json()
    same = ("model_hash", "lanes", "blocks", "stimulus", "board")
    assert {name: hls[name] for name in same} == {name: rtl[name] for name in same}
    assert (hls["backend"], hls["core_mhz"], hls["part"]) == ("hls", 100.0, "xc7a100tcsg324-1")
    assert set(hls) == {*rtl, "part", "estimate"}
    estimate = hls["estimate"]
    assert set(estimate) == {"of", "family", "cycles_per_step", "us_per_step", "lut", "ff", "bram", "dsp"}
    assert (estimate["of"][:9], estimate["family"]) == ("estimate:", "xc7")
    assert estimate["us_per_step"] == estimate["cycles_per_step"] / 100
    predicted = egru("estimate", model, "--lanes", "2,2,1", "--steps", STEPS, "--sequences", SEQUENCES, "--json").json()
    assert estimate["cycles_per_step"] == predicted["cycles_per_step"]
    assert egru("verify", tmp_path / "hls", "--json").json()["changes"] == []


def test_generate_hls_for_a_board_or_a_part(model: Path, tmp_path: Path) -> None:
    report = generate(model, tmp_path / "a", "--backend", "hls", "--board", "kv260", "--clock-mhz", 150).json()
    assert (report["board"], report["core_mhz"], report["part"], report["estimate"]["family"]) == (
        "kv260",
        150.0,
        "xck26-sfvc784-2LV-c",
        "xcup",
    )
    report = generate(model, tmp_path / "b", "--backend", "hls", "--part", "xcu250-figd2104-2L-e").json()
    assert (report["board"], report["core_mhz"], report["part"]) == (None, 100.0, "xcu250-figd2104-2L-e")
    assert "set_part" in (tmp_path / "b" / "scripts" / "build.tcl").read_text()
    shown = generate(model, tmp_path / "c", "--backend", "hls").out
    assert "estimate" in shown


def test_fit_chooses_what_hls_can_say(model: Path, tmp_path: Path) -> None:
    report = egru("generate", model, "--backend", "hls", "--fit", "--board", "pynq_z2", "--out", tmp_path / "out", "--json").json()
    assert report["fit"]["board"] == report["board"] == "pynq_z2"
    assert report["fit"]["config"]["engines"] == "per-layer"


def test_each_backend_has_an_output_folder_of_its_own(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for backend in ("rtl", "hls"):
        assert egru("generate", model, "--lanes", "2,2,1", "--backend", backend, "--json").json()["out"] == f"runs/{backend}"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--part", "xc7a35tcpg236-1"), "--part xc7a35tcpg236-1 has no meaning for RTL; name a board, or give --backend hls"),
        (("--backend", "hls", "--engines", "shared"), "engines=shared cannot be said in HLS C++; use engines=per-layer, or --backend rtl"),
        (("--backend", "hls", "--weights", "loadable"), "weights=loadable cannot be said in HLS C++; use weights=fixed, or --backend rtl"),
        (("--backend", "hls", "--board", "ulx3s_85f"), "board ulx3s_85f is no board of AMD's"),
        (("--backend", "hls", "--board", "icebreaker", "--fit"), "board icebreaker is no board of AMD's"),
        (("--backend", "hls", "--board", "kv260", "--part", "xc7"), "--part xc7 disagrees with --board kv260"),
        (("--backend", "hls", "--board", "kv260", "--fit", "--engines", "shared"), "engines=shared cannot be said in HLS C++"),
        (("--backend", "hls", "--fit"), "--fit needs a board to fit to"),
        (("--backend", "hls", "--clock-mhz", -5), "--clock-mhz -5 is outside 1 to 1000; give e.g. 100"),
    ],
)
def test_what_a_backend_cannot_build_is_refused_by_name(model: Path, tmp_path: Path, options: tuple[object, ...], expected: str) -> None:
    done = egru("generate", model, *options, "--out", tmp_path / "out")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert expected in done.err
    assert not (tmp_path / "out").exists()
