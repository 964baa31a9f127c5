"""Counts of operations against what RTL does, energy models from files, and `egru simulate --counts`."""

import json
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from egru.energy import Constant, Count, Counts, EnergyModel, Operation, count_operations, describe, load_energy_model
from hls_gen import hls_backend, rtl_backend
from hls_gen.backend import Backend
from hls_gen.cycle_model import predict, record_activity
from hls_gen.hardware_config import HardwareConfig
from sim import equivalence
from sim.equivalence import BlockWork, EquivalenceResult
from sim.runner import run_bench
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model
from tests.egru.conftest import egru

PROBES = Path(__file__).parent / "access_counter.sv"
# Layers that share an engine do all that those with lanes of their own do, and more.
SHARED = random_model(RandomModelSpec(hidden=(4, 3), classes=4, tokens=7, density=0.5, event_density=0.5, seed=5))
SHARED_HARDWARE = HardwareConfig(engines="shared", lanes=(2, 1), entry_format="gate-group")


def accesses(log: Path) -> dict[str, Count]:
    """Return what the probes saw."""
    found: dict[str, Count] = defaultdict(Count)
    for operation, number, width in re.findall(r"^access (\w+) (\d+) (\d+)$", log.read_text(), re.MULTILINE):
        found[operation] += Count(int(number), int(number) * int(width))
    return dict(found)


def test_the_command_counts_every_access_of_rtl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setattr(
        equivalence, "run_bench", lambda *given, sources, **options: run_bench(*given, sources=[*sources, PROBES], **options)
    )
    rtl_backend.write(SHARED, SHARED_HARDWARE, tmp_path / "rtl")
    options = ("--steps", 40, "--sequences", 15, "--toggles", "--energy-model", "horowitz-45nm", "--out", tmp_path / "out")
    done = egru("simulate", tmp_path / "rtl", *options)
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "out" / "simulation.json").read_text())
    rows = {row["operation"]: row for row in report["counts"]["operations"]}
    toggles = rows.pop("register_toggle")
    found = accesses(Path(report["log"]))
    assert min(count.number for count in found.values()) > 0
    assert {name: (row["per_step"], row["bits_per_step"] or 0) for name, row in rows.items()} == {
        name: (count.number / 40, count.bits / 40) for name, count in found.items()
    }
    assert {name for name, row in rows.items() if row["known"] == "measured"} == {"mac", "event"}
    assert (toggles["per_step"], toggles["known"]) == (sum(report["toggles"].values()) / 40, "measured")
    assert set(report["toggles"]) == {"layers", "layers_stream", "decoder", "registers", "egru_top"}
    assert rows["mac"]["pj_per_step"] == pytest.approx(0.3 * report["macs"] / 40)
    left_out = ["event", "queue_read", "queue_write", "counter_read", "counter_write", "register_toggle"]
    assert report["counts"]["energy_model"]["without_energy"] == left_out
    assert f"{toggles['per_step']:,.1f}" in done.out
    assert f"{report['counts']['energy_model']['pj_per_step']:,.1f} pJ a step" in done.out
    assert "not a measurement, and not of an FPGA; without energy: event" in done.out


def test_lanes_of_their_own_and_what_does_not_belong_together() -> None:
    """The cycle model stands for the simulation: it finds the MACs in its own way."""
    model = random_model(RandomModelSpec(hidden=(6, 5), classes=4, tokens=7, density=0.5, event_density=0.5, seed=5))
    hardware, sequences = HardwareConfig(lanes=(2, 2, 1), counter_bits=32), [[1, 2, 3, 4, 5], [6], [0, 1, 1, 0, 2, 3, 3]]
    activity = record_activity(model, sequences)
    predicted = predict(model, hardware, activity)
    events = [int(fired.sum()) for fired in activity.fired]
    blocks = [
        BlockWork(block.name, block.lanes, {"macs": block.macs, "own_events": own})
        for block, own in zip(predicted.blocks, [*events, 0], strict=True)
    ]
    result = EquivalenceResult(
        Backend.RTL, "measured", 13, sum(events), 1, 0, 13, predicted.cycles, tuple(blocks), (13, 13), 0, {}, Path("run.log")
    )
    counts = count_operations(result, model, hardware, sequences).by_operation
    rows = 13 * (2 * 3 + 2 * 3)  # the second layer has a row that only fills up its lane
    macs = sum(block.macs for block in predicted.blocks)
    assert counts[Operation.MAC] == Count(macs)
    assert counts[Operation.WEIGHT_READ].number == macs
    assert counts[Operation.ACCUMULATOR_READ].number == macs + 4 * rows + 4 * 13
    assert counts[Operation.STATE_WRITE] == Count(rows, 16 * rows)
    assert counts[Operation.COUNTER_READ] == Count(3 * predicted.cycles, 3 * 32 * predicted.cycles)
    with pytest.raises(ValueError, match="12 steps of inputs, 13 steps simulated"):
        count_operations(result, model, hardware, [[1] * 12])
    with pytest.raises(ValueError, match=r"layer0 did \d+ MACs, not the \d+ that follow from model, hardware and inputs"):
        count_operations(result, model, hardware, [[1] * 13])
    with pytest.raises(ValueError, match="up to its compiler"):
        count_operations(replace(result, backend=Backend.HLS), model, hardware, sequences)


def test_energy_is_the_constant_times_the_count() -> None:
    counts = Counts(4)
    counts.add(Operation.MAC, 8)
    counts.add(Operation.STATE_READ, 4, 16)
    counts.add(Operation.EVENT, 2, 12)
    source = "made up"
    constants = {Operation.MAC: Constant(pj=0.5, source=source), Operation.STATE_READ: Constant(pj_per_bit=0.25, source=source)}
    model = EnergyModel(title="t", technology="none", source=source, operations=constants)
    report = describe(counts, model)
    assert [row["pj_per_step"] for row in report["operations"]] == [8 * 0.5 / 4, 4 * 16 * 0.25 / 4, None]
    assert report["energy_model"]["pj_per_step"] == 1 + 4
    assert report["energy_model"]["without_energy"] == ["event"]
    assert describe(counts, None)["energy_model"] is None


def test_the_constants_that_ship_are_those_of_their_source() -> None:
    model = load_energy_model("horowitz-45nm")
    assert model.operations[Operation.MAC].pj == pytest.approx(0.2 + 0.1)
    assert {constant.pj_per_bit for constant in model.operations.values() if constant.pj_per_bit is not None} == {10 / 64}


GOOD = 'title = "t"\ntechnology = "x"\nsource = "s"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD, "'operations' .* is missing"),
        (GOOD + "operations = {}", "'operations' = {}"),
        (GOOD + '[operations.mack]\npj = 1\nsource = "s"', "operations.mack"),
        (GOOD + '[operations.mac]\npj = 1\npj_per_bit = 1\nsource = "s"', "one of pj and pj_per_bit is needed"),
        (GOOD + '[operations.mac]\nsource = "s"', "one of pj and pj_per_bit is needed"),
        (GOOD + '[operations.mac]\npj_per_bit = 1\nsource = "s"', "mac moves no bits of a memory: give pj"),
        (GOOD + "[operations.mac]\npj = 1", "source' .* is missing"),
        (GOOD + '[operations.mac]\npj = -1\nsource = "s"', "greater than or equal to 0"),
        (GOOD + '[operations.mac]\npj = inf\nsource = "s"', "operations.mac.pj"),
        (GOOD + '[operations.mac]\npj = nan\nsource = "s"', "operations.mac.pj"),
        (GOOD + '[operations.mac]\npj = "1"\nsource = "s"', "operations.mac.pj"),
        (GOOD + '[operations.mac]\npj = 1\nsource = "\\u001b[2J"', "operations.mac.source"),
        ("\x00", "not valid TOML"),
        ("a" * 20_000, "bytes"),
    ],
)
def test_a_file_that_will_not_do_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        load_energy_model(str(path))
    assert "mine.toml" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("horowitz", "neither one that ships nor a TOML file; give horowitz-45nm, or a file.toml"),
        ("../energy_models/horowitz-45nm", "neither one that ships"),
        ("none.toml", "file none.toml .*; check the path"),
    ],
)
def test_a_model_that_is_not_there_is_named(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_energy_model(name)


@pytest.mark.parametrize("option", [["--counts"], ["--toggles"], ["--energy-model", "horowitz-45nm"]])
def test_c_simulation_counts_nothing(tmp_path: Path, option: list[str]) -> None:
    hardware = HardwareConfig(lanes=(2, 2, 1))
    hls_backend.write_core(SHARED, hls_backend.generate(SHARED, hardware), tmp_path)
    done = egru("simulate", tmp_path, "--out", tmp_path / "out", *option)
    assert (done.code, done.out) == (2, "")
    assert "setting counts has no meaning in C simulation" in done.err
