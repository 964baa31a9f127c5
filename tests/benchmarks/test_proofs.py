"""The proofs of the RTL library: the quick ones hold, a planted fault is found, and table, wrappers, results and page agree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.proofs import PAGE, RESULT_FILE, Results, judge, page
from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.rtl_backend import library_files
from sim.build_cache import BenchError
from sim.proof_table import PROOFS
from sim.proving import OWN_ASSERTIONS, WRAPPERS, Fault, Mode, Outcome, Proof, Status, for_yosys, labels, run, with_fault, wrapper_text
from sim.runner import LIBRARY
from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import BatchedReference

ROOT = Path(__file__).resolve().parents[2]
BY_MODULE = {proof.module: proof for proof in PROOFS}
QUICK = [proof.module for proof in PROOFS if proof.quick]


def committed() -> Results:
    return Results.model_validate_json((ROOT / RESULT_FILE).read_text())


@pytest.mark.parametrize("module", QUICK)
def test_quick_proofs_hold(module: str, tmp_path: Path) -> None:
    proof = BY_MODULE[module]
    outcome = run(proof, proof.shapes[0], tmp_path / "proof")
    assert outcome.holds, outcome


# A queue that doubles a word, and a lane that says one place too late that it is full.
@pytest.mark.parametrize("module", ["egru_fifo", "egru_lane"])
def test_a_planted_fault_is_found(module: str, tmp_path: Path) -> None:
    proof = BY_MODULE[module]
    outcome = run(proof, proof.shapes[0], tmp_path / "proof", planted=True)
    assert proof.fault.breaks in outcome.broken
    assert outcome.trace is not None
    assert outcome.trace.is_file()
    failed = judge(Proof(module, proof.properties, proof.depth, proof.fault), [outcome])
    assert all(result.status is Status.FAILED and str(outcome.trace) in result.message for result in failed)


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.top)
def test_the_table_names_what_the_wrapper_asserts(proof: Proof) -> None:
    said = [label for label in labels(wrapper_text(proof)) if not label.startswith("invariant_")]
    watched = [path.read_text() for path in library_files([wrapper_text(proof)]) if path.stem not in proof.silent]
    own = [OWN_ASSERTIONS] if any("assert (" in text for text in watched) else []
    assert [*said, *own] == list(proof.properties)
    assert proof.fault.breaks in said
    with_fault((LIBRARY / f"{proof.fault.module}.sv").read_text(), proof.fault)


def test_every_wrapper_is_in_the_table() -> None:
    assert sorted(path.stem for path in WRAPPERS.glob("*.sv")) == sorted(proof.top for proof in PROOFS)


def test_the_page_is_made_of_the_results() -> None:
    assert (ROOT / PAGE).read_text() == page(committed())


def test_everything_in_the_table_was_proved() -> None:
    wanted = [
        (proof.module, name, Status.PROVED if proof.mode is Mode.PROVE else Status.BOUNDED) for proof in PROOFS for name in proof.properties
    ]
    assert [(result.module, result.property, result.status) for result in committed().properties] == wanted


def test_a_bounded_run_is_not_called_a_proof() -> None:
    proof = Proof("egru_fifo", {"order": "", "loss": ""}, 7, BY_MODULE["egru_fifo"].fault, Mode.BMC, ({"Depth": 1}, {"Depth": 2}))
    good, bad = Outcome((), "", None, 1.0), Outcome(("order",), "", Path("trace.vcd"), 1.0)
    assert [result.status for result in judge(proof, [good, good])] == [Status.BOUNDED] * 2
    order, loss = judge(proof, [good, bad])
    assert order.message == "{'Depth': 2}: fails, trace trace.vcd"
    assert loss.message == "{'Depth': 2}: not decided, because order fails, trace trace.vcd"
    assert loss.status is Status.FAILED


def test_assertions_lose_their_message_and_nothing_else() -> None:
    both, head = "always_ff @(posedge clk_i or negedge rst_ni)", "`ifndef SYNTHESIS\n"
    text = f'{both} a;\n{head}  {both} begin\n    assert (x) else $error("m: %0d; (y)", x);\n  end\n`endif\n'
    assert for_yosys(text) == f"{both} a;\n{head}  always_ff @(posedge clk_i) begin\n    assert (x);\n  end\n`endif\n"
    assert for_yosys(text, silent=True) == f"{both} a;\n\n"


def test_a_fault_without_a_place_is_an_error() -> None:
    with pytest.raises(BenchError, match="stands there 2 times"):
        with_fault("a a", Fault("module", "a", "b", "order"))


def loud_model(decoder_bias: list[int]) -> QuantizedModel:
    """Return a model of five neurons that all send 3, the largest event, in every step: the sums of all its rows are 15 or -15."""
    model = random_model(RandomModelSpec(hidden=(5,), tokens=2, classes=2, formats=Formats(event_bits=2), weight_bits=2))
    layer, limit = model.layers[0], model.formats.preact_limits[1]
    signs = np.array([1, -1, 1], np.int8).reshape(3, 1, 1)
    layer = replace(
        layer,
        recurrent_weight=np.tile(signs, (1, 5, 5)),
        weight_frac=12,  # they change next to nothing
        bias=np.array([[-limit], [0], [limit]]).repeat(5, axis=1).astype(np.int32),  # z is 0, g is 1
        threshold=np.zeros_like(layer.threshold),
    )
    assert model.input_projection is not None
    silent = replace(model.input_projection, embedding=np.zeros_like(model.input_projection.embedding))
    weight = np.array([[1], [-1]], np.int8).repeat(5, axis=1)
    return replace(
        model,
        input_projection=silent,
        layers=(layer,),
        decoder=replace(model.decoder, weight=weight, bias=np.array(decoder_bias, np.int32)),
    )


@pytest.mark.parametrize(("bias", "bits"), [([0, -1], 5), ([1, -1], 6), ([0, -2], 6)])
def test_sums_reach_the_end_of_their_range_and_not_beyond(bias: list[int], bits: int) -> None:
    model = loud_model(bias)
    hardware = plan(model, HardwareConfig(lanes=1))
    steps = list(BatchedReference(model).run(np.zeros((1, 3), np.int64)))
    assert all((step.events[0] == 3).all() for step in steps)
    sums = model.layers[0].recurrent_weight.astype(np.int64) @ steps[0].events[0][0]
    assert (sums.min(), sums.max(), hardware.engines[0].acc_bits) == (-15, 15, 5)
    logits = steps[1].logits[0].tolist()
    assert logits == [15 + bias[0], bias[1] - 15]
    assert hardware.decoder.acc_bits == bits
    # the width is the smallest that holds them
    assert any(not -(1 << bits - 2) <= logit < 1 << bits - 2 for logit in logits)
    assert all(-(1 << bits - 1) <= logit < 1 << bits - 1 for logit in logits)


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        ([1, -1], r"logit of class 0, which its weights and its bias of 1 take from 0 to 16, exceeds the 5-bit"),
        ([0, -2], r"logit of class 1, which its weights and its bias of -2 take from -17 to 0, exceeds the 5-bit"),
    ],
)
def test_a_logit_beyond_the_stream_is_refused(bias: list[int], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # it takes thousands of neurons to leave the 32 bits that it has
    monkeypatch.setattr("hls_gen.hardware_config.LOGIT_BITS", 5)
    assert plan(loud_model([0, -1]), HardwareConfig(lanes=1)).decoder.acc_bits == 5
    with pytest.raises(UserError, match=message + " logit stream; train with smaller decoder biases"):
        plan(loud_model(bias), HardwareConfig(lanes=1))
