"""Configurations that cannot work are refused by name; widths follow from the pruned columns."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from hls_gen.hardware_config import HardwareConfig, plan
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model

MODEL = random_model(RandomModelSpec(hidden=(16, 24), classes=16))


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        (0, r"lanes=0 of layer0 is outside 1 to 16 .*; choose 1 to 16"),
        (17, r"lanes=17 of layer0 is outside 1 to 16"),
        ((16, 24, 17), r"lanes=17 of decoder is outside 1 to 16"),
        ((4, 4), r"lanes=\[4, 4\] has 2 numbers for a model of 2 layers and a decoder; give one number or 3"),
    ],
)
def test_impossible_lanes(lanes: int | tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(MODEL, HardwareConfig(lanes=lanes))


@pytest.mark.parametrize("field", ["queue_depth", "stream_depth", "counter_bits", "lanes_per_update_unit"])
def test_zero_is_no_depth_and_no_width(field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        HardwareConfig(**{field: 0})


def test_a_misspelt_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="queue_dept"):
        HardwareConfig(queue_dept=8)  # type: ignore[call-arg]  # the mistake under test


@pytest.mark.parametrize(("lanes", "limit", "units"), [(8, 4, 2), (6, 4, 2), (5, 4, 5), (16, 1, 16), (3, 8, 1)])
def test_update_units_divide_the_lanes(lanes: int, limit: int, units: int) -> None:
    hardware = plan(MODEL, HardwareConfig(lanes=lanes, lanes_per_update_unit=limit))
    assert hardware.layers[0].update_units == units


def test_accumulators_hold_the_worst_case_and_no_more() -> None:
    layer = MODEL.layers[0]
    weight = np.zeros_like(layer.recurrent_weight)
    weight[1, 3, :] = -127
    model = replace(MODEL, layers=(replace(layer, recurrent_weight=weight), MODEL.layers[1]))
    # -127 * 255 * 16 = -518160, which needs 20 bits.
    assert plan(model, HardwareConfig(lanes=4)).layers[0].acc_bits == 20


def test_an_accumulator_holds_at_least_one_product() -> None:
    layer = MODEL.layers[0]
    model = replace(MODEL, layers=(replace(layer, recurrent_weight=np.zeros_like(layer.recurrent_weight)), MODEL.layers[1]))
    assert plan(model, HardwareConfig(lanes=4)).layers[0].acc_bits == 16
