"""The one suite that every backend's generated core runs: a model and a configuration for each shape that a user may ask for.

`tests/rtl/test_egru_top.py` runs it in Verilator, `tests/hls/test_egru_top.py` as compiled C++.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hls_gen import hls_backend, rtl_backend
from hls_gen.backend import Backend
from hls_gen.cycle_model import predict, record_activity
from hls_gen.hardware_config import HardwareConfig
from sim.build_cache import BenchError
from sim.equivalence import EquivalenceResult, check_equivalence
from sw_model.fixed_point import Formats
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, draw_events, random_model


@dataclass(frozen=True)
class Case:
    """A model, a configuration, and what the run must have exercised.

    Attributes:
        hls_refuses: What of the configuration cannot be said in HLS C++, as the message names it; empty where all can.
    """

    name: str
    model: RandomModelSpec
    hardware: HardwareConfig
    steps: int = 120
    silent_layers: tuple[int, ...] = ()
    all_fire: bool = False
    loaded: RandomModelSpec | None = None
    hls_refuses: str = ""


NARROW = Formats(event_bits=4, state_bits=12, gate_bits=9, preact_bits=10, preact_frac=6)
WIDE = Formats(event_bits=12, state_bits=16, gate_bits=15, preact_bits=18, preact_frac=13)

CASES = [
    Case("one_layer_dense_two_lanes", RandomModelSpec(hidden=(24,), density=1.0, seed=1), HardwareConfig(lanes=2), steps=60),
    Case(
        "two_layers_4_bit_80_percent",
        RandomModelSpec(hidden=(24, 32), weight_bits=4, density=0.2, classes=13, tokens=11, seed=2),
        HardwareConfig(lanes=(4, 8, 3)),
    ),
    Case(
        "three_layers_8_bit_90_percent_sixteen_lanes",
        RandomModelSpec(hidden=(32, 48, 32), density=0.1, classes=20, seed=3),
        HardwareConfig(lanes=16),
    ),
    Case(
        "two_layers_4_bit_97_percent",
        RandomModelSpec(hidden=(64, 64), weight_bits=4, density=0.03, event_density=0.5, seed=4),
        HardwareConfig(lanes=(8, 4, 2), lanes_per_update_unit=8, event_queue_depth=8),
    ),
    Case(
        "silent_middle_layer_2_bit_narrow_formats",
        RandomModelSpec(hidden=(16, 16, 16), weight_bits=2, density=0.4, formats=NARROW, silent_layer=1, seed=5),
        HardwareConfig(lanes=(4, 2, 4, 4), counter_bits=48),
        silent_layers=(1, 2),
    ),
    Case(
        "every_neuron_fires",
        RandomModelSpec(hidden=(20, 16), density=0.5, event_density=1.0, seed=6),
        HardwareConfig(lanes=4, queue_depth=6),
        steps=40,
        all_fire=True,
    ),
    Case(
        "padding_rows_wide_formats_no_shared_update_unit",
        RandomModelSpec(hidden=(19, 23), density=0.3, formats=WIDE, weight_bits=6, classes=7, tokens=5, seed=7),
        HardwareConfig(lanes=(3, 5, 4), lanes_per_update_unit=1, queue_depth=7, event_queue_depth=9, stream_depth=2),
    ),
    Case(
        "three_layers_share_five_lanes",
        RandomModelSpec(hidden=(24, 17, 20), density=0.3, classes=9, tokens=11, seed=8),
        HardwareConfig(engines="shared", lanes=(5, 2), lanes_per_update_unit=5),
        hls_refuses="engines=shared",
    ),
    Case(
        "two_layers_share_twelve_lanes_4_bit_interleaved_groups_of_gates",
        RandomModelSpec(hidden=(29, 24), density=0.4, weight_bits=4, event_density=0.5, seed=9),
        HardwareConfig(engines="shared", lanes=(12, 3), lanes_per_update_unit=12, packing="interleaved", entry_format="gate-group"),
        hls_refuses="engines=shared",
    ),
    Case(
        "two_layers_groups_of_gates_wide_formats",
        RandomModelSpec(hidden=(18, 26), density=0.2, formats=WIDE, seed=10),
        HardwareConfig(lanes=(3, 8, 2), lanes_per_update_unit=8, entry_format="gate-group", queue_depth=8),
    ),
    Case(
        "two_layers_with_weights_that_can_be_swapped",
        RandomModelSpec(hidden=(21, 18), density=0.3, classes=7, tokens=5, seed=11),
        HardwareConfig(lanes=(4, 3, 2), weights="swappable"),
        hls_refuses="weights=swappable",
    ),
    Case(
        "two_layers_loaded_with_another_model",
        RandomModelSpec(hidden=(21, 18), density=0.3, classes=7, tokens=5, seed=12),
        HardwareConfig(lanes=(4, 3, 2), weights="loadable"),
        loaded=RandomModelSpec(hidden=(21, 18), density=0.3, classes=7, tokens=5, seed=13),
        hls_refuses="weights=loadable",
    ),
    Case(
        "three_layers_share_lanes_in_groups_of_gates_loaded_with_another_model",
        RandomModelSpec(hidden=(16, 9, 13), density=0.3, weight_bits=4, classes=6, tokens=5, seed=14),
        HardwareConfig(engines="shared", lanes=(7, 3), entry_format="gate-group", weights="loadable", weight_capacity=(700, 100)),
        loaded=RandomModelSpec(hidden=(16, 9, 13), density=0.3, weight_bits=4, classes=6, tokens=5, seed=15),
        hls_refuses="engines=shared",
    ),
    Case(
        "two_layers_with_weights_in_single_port_ram",
        RandomModelSpec(hidden=(21, 18), density=0.3, classes=7, tokens=5, seed=23),
        HardwareConfig(lanes=(4, 3, 2), weights="single-port"),
        hls_refuses="weights=single-port",
    ),
]

#: Models of features: both encodings, one to three layers, as many bits of a word as there are, one channel, every entry format.
FEATURE_CASES = [
    Case(
        "thirteen_features_one_layer",
        RandomModelSpec(hidden=(26,), features=13, density=0.3, classes=10, seed=18),
        HardwareConfig(lanes=(4, 2)),
    ),
    Case(
        "seven_features_send_on_delta_two_layers_4_bit_groups_of_gates",
        RandomModelSpec(hidden=(19, 23), features=7, encoding="delta", weight_bits=4, density=0.4, classes=6, seed=19),
        HardwareConfig(lanes=(3, 8, 2), lanes_per_update_unit=8, entry_format="gate-group", queue_depth=6),
    ),
    Case(
        "eight_features_words_of_15_bits_wide_formats",
        RandomModelSpec(hidden=(17,), features=8, density=0.5, formats=WIDE, weight_bits=6, classes=5, seed=20),
        HardwareConfig(engines="shared", lanes=(5, 1), lanes_per_update_unit=1, packing="interleaved"),
        hls_refuses="engines=shared",
    ),
    Case(
        "one_feature_three_layers_narrow_formats",
        RandomModelSpec(hidden=(9, 12, 8), features=1, density=0.5, formats=NARROW, weight_bits=3, classes=3, seed=21),
        HardwareConfig(lanes=(2, 4, 1, 3), event_queue_depth=8, stream_depth=2),
    ),
    Case(
        "many_features_every_neuron_fires",
        RandomModelSpec(hidden=(16,), features=100, density=0.2, event_density=1.0, classes=4, formats=Formats(event_bits=7), seed=22),
        HardwareConfig(lanes=(8, 4), queue_depth=7),
        steps=40,
        all_fire=True,
    ),
    Case(
        "features_deep_single_port_ram_groups_of_gates",
        RandomModelSpec(hidden=(48,), features=6, density=0.5, classes=5, seed=24),
        HardwareConfig(lanes=1, entry_format="gate-group", weights="single-port"),
        hls_refuses="weights=single-port",
    ),
]

#: For tools that take seconds for every lane: sizes that no lane count divides, one case of each entry format.
SMALL_CASES = [
    Case(
        "one_layer_padding_rows",
        RandomModelSpec(hidden=(11,), density=0.5, classes=5, tokens=5, seed=16),
        HardwareConfig(lanes=(3, 2), lanes_per_update_unit=3),
        steps=60,
    ),
    Case(
        "two_layers_4_bit_groups_of_gates_narrow_formats",
        RandomModelSpec(hidden=(7, 9), weight_bits=4, density=0.4, classes=3, tokens=6, formats=NARROW, seed=17),
        HardwareConfig(lanes=(2, 2, 1), lanes_per_update_unit=1, entry_format="gate-group", queue_depth=6, event_queue_depth=8),
        steps=60,
    ),
]


def sequences(case: Case, model: QuantizedModel) -> list[Any]:
    """Draw tokens, or input events, in sequences of uneven length; one has a single step."""
    rng = np.random.default_rng(case.model.seed)
    cuts = [1, case.steps // 3]
    inputs = draw_events(rng, model, (case.steps,)) if model.channels else rng.integers(0, model.tokens, case.steps)
    return [part.tolist() for part in np.split(inputs, cuts)]


def check_exercised(case: Case, result: EquivalenceResult, *, counts_macs: bool = True) -> None:
    """A comparison that saw nothing proves nothing; ``counts_macs``: whether the lanes have counters."""
    assert result.steps == case.steps
    assert result.mismatches == 0
    events = [block.counters["own_events"] for block in result.blocks[:-1]]
    assert result.macs > case.steps if counts_macs else result.macs == 0
    assert (result.blocks[0].counters["input_events"] > case.steps / 4) == (case.model.features > 0)
    if len(events) < len(case.model.hidden):  # one engine for all layers
        assert 0 < events[0] < sum(case.model.hidden) * case.steps
        return
    for layer, (count, neurons) in enumerate(zip(events, case.model.hidden, strict=True)):
        if case.all_fire:
            assert count == neurons * case.steps
        elif layer in case.silent_layers and layer == case.model.silent_layer:
            assert count == 0
        else:
            assert 0 < count < neurons * case.steps or layer in case.silent_layers


def write_core(case: Case, backend: Backend, folder: Path) -> QuantizedModel:
    """Generate a case into ``folder`` and return its model."""
    model = random_model(case.model)
    if backend is Backend.RTL:
        rtl_backend.write(model, case.hardware, folder)
    else:
        generated = hls_backend.generate(model, case.hardware)
        folder.mkdir()
        hls_backend.write_core(model, generated, folder)
    return model


def prove(case: Case, backend: Backend, folder: Path, **options: Any) -> EquivalenceResult:
    """Generate a case into ``folder``, unless it is there, and compare it with the reference; ``options`` are `check_equivalence`'s."""
    model = random_model(case.model) if folder.exists() else write_core(case, backend, folder)
    result = check_equivalence(folder, sequences(case, model), **({"seed": case.model.seed} | options))
    assert result.backend is backend
    check_exercised(case, result)
    return result


def check_prediction(found: EquivalenceResult, model: QuantizedModel, hardware: HardwareConfig, inputs: list[Any]) -> None:
    """The cycle model against what was counted in simulation without stalls: cycle for cycle, block by block."""
    predicted = predict(model, hardware, record_activity(model, inputs))
    assert predicted.cycles == found.cycles
    for block, measured in zip(predicted.blocks, found.blocks, strict=True):
        counters = [measured.counters[name] for name in ("macs", "fetch_slots", "idle_slots")]
        assert [block.macs, block.fetch_slots, block.idle_slots] == counters
    assert predicted.occupancy == found.occupancy


def check_wrong_weights(backend: Backend, folder: Path, damage: Callable[[Path], None]) -> None:
    """Damage the weights of a generated core; the first wrong value must be named and its case saved."""
    case = CASES[1]
    model = write_core(case, backend, folder / "core")
    damage(folder / "core")
    with pytest.raises(BenchError, match=r"step \d+, layer \w+, neuron \d+: .* seed 2, case saved in") as caught:
        check_equivalence(folder / "core", sequences(case, model), seed=2, run_dir=folder / "run")
    saved = folder / "run" / "failure"
    found = json.loads((saved / "case.json").read_text())
    assert f"step {found['step']}, layer {found['layer']}, neuron {found['neuron']}: {found['what']} is {found['observed']}" in str(
        caught.value
    )
    assert found["context"]["sequences"] == sequences(case, model)
    assert QuantizedModel.load(saved / "model").content_hash() == model.content_hash()
