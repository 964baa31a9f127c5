"""Configurations that cannot work are refused by name; widths follow from the pruned columns."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.registers import ADDRESSES, BLOCK_BYTES, MAX_BLOCKS, counters_address
from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.random_model import RandomModelSpec, random_model

MODEL = random_model(RandomModelSpec(hidden=(16, 24), classes=16))


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        (0, r"lanes=0 of layer0 is outside 1 to 16 \(16 rows\); choose 1 to 16"),
        (17, r"lanes=17 of layer0 is outside 1 to 16"),
        ((16, 24, 17), r"lanes=17 of decoder is outside 1 to 16"),
        ((16, 25, 16), r"lanes=25 of layer1 is outside 1 to 24"),
        ((4, 4), r"lanes=\[4, 4\] has 2 numbers for 3 blocks \(layer0, layer1, decoder\); give one number or 3"),
    ],
)
def test_impossible_lanes(lanes: int | tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(MODEL, HardwareConfig(lanes=lanes))


@pytest.mark.parametrize(
    ("features", "event_bits", "hidden", "chosen", "message"),
    [
        (
            129,
            8,
            (4,),
            {},
            r"129 channels need 8 bits of index beside 8 of value, .* has 15; use fewer event bits",
        ),
        (9, 12, (4,), {}, r"9 channels need 4 bits of index beside 12 of value"),
        (
            5,
            8,
            (4, 4),
            {"engines": "shared"},
            r"engines=shared with 2 layers of a model of features takes .*use engines=per-layer",
        ),
        (5, 8, (4,), {"weights": "swappable"}, r"weights=swappable of a model of features is for models of tokens; use weights=fixed"),
        (5, 8, (4,), {"weights": "loadable"}, r"weights=loadable of a model of features"),
    ],
)
def test_what_features_do_not_go_with(
    features: int, event_bits: int, hidden: tuple[int, ...], chosen: dict[str, Any], message: str
) -> None:
    model = random_model(RandomModelSpec(hidden=hidden, features=features, formats=Formats(event_bits=event_bits)))
    with pytest.raises(UserError, match=message):
        plan(model, HardwareConfig(lanes=1, **chosen))


@pytest.mark.parametrize(("features", "event_bits", "engines"), [(128, 8, "shared"), (8, 12, "per-layer")])
def test_features_up_to_the_bits_of_a_word(features: int, event_bits: int, engines: str) -> None:
    model = random_model(RandomModelSpec(hidden=(4,), features=features, formats=Formats(event_bits=event_bits)))
    hardware = plan(model, HardwareConfig.model_validate({"lanes": 1, "engines": engines}))
    assert (hardware.engines[0].inputs, hardware.engines[0].columns) == (features, features + 4)


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        (17, r"lanes=17 of layers is outside 1 to 16 \(16 rows\)"),
        ((16, 17), r"lanes=17 of decoder is outside 1 to 16"),
        ((4, 4, 4), r"lanes=\[4, 4, 4\] has 3 numbers for 2 blocks \(layers, decoder\); give one number or 2"),
    ],
)
def test_impossible_lanes_of_a_shared_engine(lanes: int | tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(MODEL, HardwareConfig(lanes=lanes, engines="shared"))


def test_too_many_lanes_are_refused_however_many_rows() -> None:
    model = random_model(RandomModelSpec(hidden=(80,), density=0.02, classes=80))
    with pytest.raises(UserError, match=r"lanes=65 of layer0 is outside 1 to 64 \(80 rows\)"):
        plan(model, HardwareConfig(lanes=65))


def test_too_many_layers_for_one_engine() -> None:
    model = random_model(RandomModelSpec(hidden=(4,) * 9, classes=4))
    with pytest.raises(UserError, match=r"engines=shared with 9 layers exceeds 8; use engines=per-layer"):
        plan(model, HardwareConfig(lanes=2, engines="shared"))
    assert len(plan(model, HardwareConfig(lanes=2)).engines) == 9


def test_too_many_layers_for_the_addresses_of_their_counters() -> None:
    assert counters_address(MAX_BLOCKS - 1) + BLOCK_BYTES == ADDRESSES
    assert len(plan(random_model(RandomModelSpec(hidden=(1,) * 29, classes=2)), HardwareConfig(lanes=1)).blocks) == MAX_BLOCKS
    with pytest.raises(UserError, match="a model of 30 layers has more counters than addresses; use at most 29 layers"):
        plan(random_model(RandomModelSpec(hidden=(1,) * 30, classes=2)), HardwareConfig(lanes=1))


def test_too_many_tokens_for_the_stream() -> None:
    model = random_model(RandomModelSpec(hidden=(4,), tokens=(1 << 16) + 1, classes=4))
    with pytest.raises(UserError, match="tokens=65537 exceeds the 16-bit token stream"):
        plan(model, HardwareConfig(lanes=1))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("queue_depth", 0),
        ("queue_depth", 5),
        ("queue_depth", 65),
        ("stream_depth", 1),
        ("counter_bits", 0),
        ("lanes_per_update_unit", 0),
        ("lanes_per_update_unit", 17),
        ("engines", "one"),
        ("packing", "random"),
        ("entry_format", "triple"),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        HardwareConfig(**{field: value})


def test_a_misspelt_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="queue_dept"):
        HardwareConfig(queue_dept=8)  # type: ignore[call-arg]  # the mistake under test


@pytest.mark.parametrize(("lanes", "limit", "units"), [(8, 4, 2), (6, 4, 2), (5, 4, 5), (16, 1, 16), (3, 8, 1), (12, 16, 1)])
def test_update_units_divide_the_lanes(lanes: int, limit: int, units: int) -> None:
    hardware = plan(MODEL, HardwareConfig(lanes=lanes, lanes_per_update_unit=limit))
    assert hardware.engines[0].update_units == units
    assert hardware.decoder.update_units == 0


def test_a_shared_engine_holds_all_layers_side_by_side() -> None:
    layers = (replace(MODEL.layers[0], weight_frac=5), replace(MODEL.layers[1], weight_frac=8))
    hardware = plan(replace(MODEL, layers=layers), HardwareConfig(lanes=(7, 3), engines="shared"))
    (engine,) = hardware.engines
    assert (engine.name, engine.layers, engine.lanes, engine.rows) == ("layers", (0, 1), 7, 3 + 4)
    assert [part.first_row for part in engine.parts] == [0, 3]
    assert [part.left_shift for part in engine.parts] == [3, 0]
    assert engine.acc_frac == 8 + MODEL.formats.event_bits
    assert engine.columns == 2 * engine.slots
    places = np.concatenate([engine.slot_of(part) for part in engine.parts])
    assert len(set(places.tolist())) == 40
    assert hardware.decoder.inputs == engine.slots
    assert hardware.lanes == 10
    assert hardware.place_of(1) == (engine, engine.parts[1])


def test_one_layer_is_the_same_shared_or_not() -> None:
    model = random_model(RandomModelSpec(hidden=(9,), classes=5))
    shared, own = (plan(model, HardwareConfig(lanes=2, engines=engines)) for engines in ("shared", "per-layer"))
    assert [block.name for block in shared.blocks] == [block.name for block in own.blocks] == ["layer0", "decoder"]


@pytest.mark.parametrize("engines", ["per-layer", "shared"])
def test_accumulators_hold_the_worst_case_and_no_more(engines: Any) -> None:
    layers = [replace(layer, recurrent_weight=np.zeros_like(layer.recurrent_weight)) for layer in MODEL.layers]
    layers[1] = replace(layers[1], input_weight=np.zeros_like(layers[1].input_weight))
    layers[0].recurrent_weight[1, 3, :] = -127
    # -127 * 255 * 16 = -518160, which needs 20 bits.
    assert plan(replace(MODEL, layers=tuple(layers)), HardwareConfig(lanes=4, engines=engines)).engines[0].acc_bits == 20


def test_inputs_and_recurrence_of_the_candidate_are_bounded_together() -> None:
    layer = replace(MODEL.layers[1], input_weight=np.zeros_like(MODEL.layers[1].input_weight))
    layer = replace(layer, recurrent_weight=np.zeros_like(layer.recurrent_weight))
    layer.input_weight[2, 0, :8], layer.recurrent_weight[0, 0, :9] = 127, 127
    bits = plan(replace(MODEL, layers=(MODEL.layers[0], layer)), HardwareConfig(lanes=4)).engines[1].acc_bits
    # 127 * 255 * 9 = 291465, which needs 20 bits; 8 of them need 19.
    assert bits == 20


def test_an_accumulator_holds_at_least_one_product() -> None:
    layer = MODEL.layers[0]
    model = replace(MODEL, layers=(replace(layer, recurrent_weight=np.zeros_like(layer.recurrent_weight)), MODEL.layers[1]))
    assert plan(model, HardwareConfig(lanes=4)).engines[0].acc_bits == 16
