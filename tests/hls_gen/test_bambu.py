"""What Bambu is asked for, and how its modules are joined; Bambu itself is not run here."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from hls_gen.bambu import DEFAULT_IMAGE, FRONT_END, Compiled, arguments, device_of, join, read_compiled, stitched_core
from hls_gen.board import load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.hls_backend import INPUT_WIRE, LOGITS, GeneratedHls, Port, Process, generate
from hls_gen.rtl_backend import library_files
from sim.benches.egru_top import GENERATED_VARIABLE
from sim.benches.hls_input import WIRE_VARIABLE
from sim.runner import lint, run_bench
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from tests.equivalence_cases import CASES, FEATURE_CASES, SMALL_CASES, Case

EXPRESSED = [case for case in [*CASES, *SMALL_CASES, *FEATURE_CASES] if not case.hls_refuses]
MODEL = random_model(RandomModelSpec(hidden=(6, 5), classes=4, tokens=7))
CONFIG = HardwareConfig(lanes=(2, 3, 2), lanes_per_update_unit=1)


# ---- what is asked for ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clock_mhz", "period_ns"), [(50.0, "12.000"), (25.0, "24.000"), (70.0, "8.571")])
def test_the_period_is_the_planned_share_of_the_clock(clock_mhz: float, period_ns: str) -> None:
    given = arguments("layer0_lane1", "a,device", clock_mhz)
    assert given[0] == "hls/egru_top.cpp"
    assert {"--top-fname=layer0_lane1", "--device-name=a,device", f"--compiler={FRONT_END}", f"--clock-period={period_ns}"} <= set(given)


def test_a_board_of_the_family_has_a_device() -> None:
    assert device_of(load_board("ulx3s_85f")) == device_of(load_board("colorlight_i9"))


@pytest.mark.parametrize(("name", "family"), [("icebreaker", "ice40up"), ("tang_nano_9k", "gw1n"), ("arty_a7_100t", "xc7")])
def test_a_board_of_another_family_is_refused_by_name(name: str, family: str) -> None:
    with pytest.raises(UserError, match=rf"^board {name} \({family}\) is of no family that is built with bambu \(ecp5\); .*--backend rtl"):
        device_of(load_board(name))


# ---- joining modules ------------------------------------------------------------------------------------------------------------------

HEAD = """// Code created using PandA - Date {date}
// ****
// The following text holds for all the components tagged with PANDA_LGPLv3.
// This library is free software; the module below is of no concern.
// ****

`ifdef VERILATOR
  `define _SIM_HAVE_CLOG2
`endif

"""
NOTICE = "// License: PANDA_LGPLv3\n"


def text_of(date: str, **modules: str) -> str:
    parts = [f"{NOTICE}`timescale 1ns / 1ps\nmodule {name}(a);\n{body}\nendmodule\n" for name, body in modules.items()]
    return HEAD.format(date=date) + "\n".join(parts)


def test_equal_library_modules_come_once_with_their_notices() -> None:
    sources, memories = join(
        {
            "p": Compiled(text_of("today", adder="  add;", p="  adder #(.W(1)) u_adder (.a(a));"), {}),
            "q": Compiled(text_of("tomorrow", adder="  add;", q="  adder u_adder (.a(a));"), {}),
        }
    )
    assert set(sources) == {"adder.sv", "p.sv", "q.sv"}
    assert memories == {DEFAULT_IMAGE: "0\n"}
    for name, text in sources.items():
        assert text.count("endmodule") == 1
        assert f"{NOTICE}module {Path(name).stem}(a);" in text
        for kept in ("This library is free software", "`define _SIM_HAVE_CLOG2", "`timescale 1ns / 1ps"):
            assert text.count(kept) == 1
        assert "Date" not in text
    assert "adder #(.W(1)) u_adder (.a(a));" in sources["p.sv"]


def test_differing_modules_of_one_name_get_a_prefix_wherever_they_are_used() -> None:
    sources, _ = join(
        {
            "p": Compiled(text_of("", adder="  wide;", p="  adder u_adder (.a(a));"), {}),
            "q": Compiled(text_of("", adder="  narrow;", q="  adder u_adder (.a(a)); adder2 x (.a(a)); super_adder y (.a(a));"), {}),
            "r": Compiled(text_of("", adder="  wide;", r="  adder u_adder (.a(a));"), {}),
        }
    )
    assert set(sources) == {"adder.sv", "p.sv", "q_adder.sv", "q.sv", "r.sv"}
    assert "wide" in sources["adder.sv"]
    assert "module q_adder(a);\n  narrow;" in sources["q_adder.sv"]
    assert "  q_adder u_adder (.a(a)); adder2 x (.a(a)); super_adder y (.a(a));" in sources["q.sv"]
    assert "  adder u_adder" in sources["p.sv"]
    assert "  adder u_adder" in sources["r.sv"]


def test_a_module_of_equal_text_that_uses_a_differing_one_is_no_copy() -> None:
    user, wrapper = "  adder u_adder (.a(a));", "  user u_user (.a(a));"
    sources, _ = join(
        {
            name: Compiled(text_of("", adder=f"  {width};", user=user, wrapper=wrapper, **{name: "  wrapper u_wrapper (.a(a));"}), {})
            for name, width in (("p", "wide"), ("q", "narrow"), ("r", "wide"))
        }
    )
    assert set(sources) == {"adder.sv", "user.sv", "wrapper.sv", "p.sv", "q_adder.sv", "q_user.sv", "q_wrapper.sv", "q.sv", "r.sv"}
    assert "  q_adder u_adder" in sources["q_user.sv"]
    assert "  q_user u_user" in sources["q_wrapper.sv"]
    assert "  q_wrapper u_wrapper" in sources["q.sv"]
    assert "  wrapper u_wrapper" in sources["r.sv"]


def test_memory_images_are_named_after_their_process(tmp_path: Path) -> None:
    body = '  parameter F="array.mem"; rom #(.F("./array_ref_1.mem")) u_rom (.a(a)); rom #(.F("array_ref_2.mem")) v (.a(a));'
    for name in ("p", "q"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.v").write_text(text_of("", **{name: body}))
        (tmp_path / name / "array_ref_1.mem").write_text(f"01 {name}\n")
    sources, memories = join({name: read_compiled(tmp_path / name, name) for name in ("p", "q")})
    assert memories == {DEFAULT_IMAGE: "0\n", "p_array_ref_1.mem": "01 p\n", "q_array_ref_1.mem": "01 q\n"}
    for name in ("p", "q"):
        assert f'"mem/{name}_array_ref_1.mem"' in sources[f"{name}.sv"]
        # What there is no image of has to be read all the same.
        assert sources[f"{name}.sv"].count(f'"mem/{DEFAULT_IMAGE}"') == 2


@pytest.mark.parametrize("text", ["", "// a module without one\n"])
def test_a_text_without_modules_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^what bambu wrote holds no module; see its log"):
        join({"p": Compiled(text, {})})


# ---- the core around the modules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", EXPRESSED, ids=lambda case: case.name)
def test_every_stream_joins_one_writer_and_one_reader_of_its_width(case: Case) -> None:
    model = random_model(case.model)
    generated = generate(model, case.hardware)
    names = [wire.name for wire in generated.wires]
    assert len(set(names)) == len(names)
    ports = [port for process in generated.processes for port in process.ports if not port.outside]
    for direction, own in (("out", {INPUT_WIRE}), ("in", set())):  # the inputs come from the outside
        assert Counter(port.wire for port in ports if port.direction == direction) == dict.fromkeys(set(names) - own, 1)
    bits = {wire.name: wire.bits for wire in generated.wires}
    assert all(port.bits == bits[port.wire] for port in ports)
    assert all(wire.depth >= 1 for wire in generated.wires)
    outside = [port for process in generated.processes for port in process.ports if port.outside]
    assert [port.wire for port in outside] == [*(f"layer{index}_events" for index in range(len(model.layers))), LOGITS]
    assert {(port.bits, port.direction) for port in outside} == {(33, "out")}
    processes = [process.name for process in generated.processes]
    assert len(set(processes)) == len(processes)
    for process in generated.processes:
        assert len({port.name for port in process.ports}) == len(process.ports)


def stub(process: Process) -> str:
    """A module with the ports that Bambu gives a process; it says and hears nothing of sense."""

    def signals(port: Port) -> list[tuple[str, str, str]]:
        there, back = ("input", "output") if port.direction == "in" else ("output", "input")
        width = f"[{port.bits - 1}:0] "
        return [(there, width, f"{port.name}_TDATA"), (there, "", f"{port.name}_TVALID"), (back, "", f"{port.name}_TREADY")]

    found = [signal for port in process.ports for signal in signals(port)]
    declared = [f"  {direction} logic {width}{name}" for direction, width, name in found]
    heard = ", ".join(name for direction, _, name in found if direction == "input")
    zero = "'0"
    lines = [
        f"module {process.name} (",
        ",\n".join(["  input logic clock, reset, start_port", "  output logic done_port", *declared]),
        ");",
        "  logic unused;",
        f"  assign unused = ^{{{heard}}};",
        "  always_ff @(posedge clock) done_port <= reset && start_port && !done_port;",  # ready half of the time
        *(f"  assign {name} = {zero if width else 'done_port'};" for direction, width, name in found if direction == "output"),
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def write_stubbed(generated: GeneratedHls, folder: Path, model: QuantizedModel = MODEL) -> list[Path]:
    texts = {process.name: stub(process) for process in generated.processes} | {"egru_top": stitched_core(model, generated)[0]}
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.sv")
        paths[-1].write_text(text)
    return paths


def lint_core(generated: GeneratedHls, folder: Path, model: QuantizedModel = MODEL) -> list[str]:
    return lint(write_stubbed(generated, folder, model), top="egru_top")


FEATURES = random_model(RandomModelSpec(hidden=(6, 5), classes=4, features=3))


@pytest.mark.parametrize("model", [MODEL, FEATURES], ids=["tokens", "features"])
def test_the_joined_core_is_clean(model: QuantizedModel, tmp_path: Path) -> None:
    assert lint_core(generate(model, CONFIG), tmp_path, model) == []


def test_a_stream_of_another_width_is_seen(tmp_path: Path) -> None:
    generated = generate(MODEL, CONFIG)
    wires = [replace(wire, bits=wire.bits + (wire.name == "layer1_lane0_sums")) for wire in generated.wires]
    assert any("layer1_lane0_sums" in line for line in lint_core(replace(generated, wires=tuple(wires)), tmp_path))


@pytest.mark.parametrize("model", [MODEL, FEATURES], ids=["tokens", "features"])
def test_words_become_items_and_a_reset_in_mid_step_leaves_nothing_behind(model: QuantizedModel, tmp_path: Path) -> None:
    generated = generate(model, HardwareConfig(lanes=1))
    model.save(tmp_path / "model")
    top, image = stitched_core(model, generated)
    result = run_bench(
        "egru_top",
        "sim.benches.hls_input",
        sources=[*write_stubbed(generated, tmp_path, model), *library_files([top])],
        files={f"mem/{name}": text for name, text in image.files().items()},
        seed=5,
        extra_env={GENERATED_VARIABLE: str(tmp_path), WIRE_VARIABLE: INPUT_WIRE},
    )
    assert (result.report["mid_step"] > 2) == (model.channels > 0)


def test_the_core_carries_the_hash_of_its_model() -> None:
    text, image = stitched_core(MODEL, generate(MODEL, CONFIG))
    assert f'.HashFile("mem/{image.name}")' in text
    assert "".join(f"{word:0{image.bits // 4}x}" for word in reversed(image.words)) == MODEL.content_hash()
