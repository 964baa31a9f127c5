"""Models of one shape give one and the same hardware; others are refused by name; loading names every memory."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.registers import Register
from hls_gen.rtl_backend import describe, generate, write
from hls_gen.weight_image import generate_for, load_writes
from sw_model.errors import UserError
from sw_model.fixed_point import Formats, symmetric_limit
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model

SPEC = RandomModelSpec(hidden=(20, 17), classes=9, tokens=7, seed=1)
MODEL = random_model(SPEC)


def extreme(model: QuantizedModel) -> QuantizedModel:
    """Return ``model`` with the largest weight everywhere."""
    layers = tuple(
        replace(
            layer,
            input_weight=np.full_like(layer.input_weight, symmetric_limit(layer.weight_bits)),
            recurrent_weight=np.full_like(layer.recurrent_weight, -symmetric_limit(layer.weight_bits)),
        )
        for layer in model.layers
    )
    decoder = replace(model.decoder, weight=np.full_like(model.decoder.weight, symmetric_limit(model.decoder.weight_bits)))
    return replace(model, layers=layers, decoder=decoder)


def with_fractions(model: QuantizedModel, other: QuantizedModel) -> QuantizedModel:
    """Return ``model`` with the exponents of ``other``, as another model of one training run has them."""
    layers = tuple(replace(layer, weight_frac=given.weight_frac) for layer, given in zip(model.layers, other.layers, strict=True))
    return replace(model, layers=layers, decoder=replace(model.decoder, weight_frac=other.decoder.weight_frac))


CONFIGS: list[dict[str, Any]] = [
    {"lanes": (4, 4, 3)},
    {"lanes": (3, 2), "engines": "shared"},
    {"lanes": (5, 2), "engines": "shared", "entry_format": "gate-group", "packing": "interleaved"},
    {"lanes": (3, 5, 2), "entry_format": "gate-group"},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("weights", ["swappable", "loadable"])
def test_models_of_one_shape_differ_in_the_memories_only(weights: Any, config: dict[str, Any], tmp_path: Path) -> None:
    chosen = HardwareConfig(weights=weights, weight_capacity=4096, **config)
    models = [MODEL, random_model(replace(SPEC, seed=2)), extreme(MODEL)]
    for name, model in zip("abc", models, strict=True):
        write(model, chosen, tmp_path / name)
    rtl = [{path.name: path.read_bytes() for path in (tmp_path / name / "rtl").iterdir()} for name in "abc"]
    assert len(rtl[0]) > 15
    assert rtl[0] == rtl[1] == rtl[2]
    memories = [{path.name: len(path.read_text().split()) for path in (tmp_path / name / "mem").iterdir()} for name in "abc"]
    assert memories[0] == memories[1] == memories[2]
    assert (tmp_path / "a" / "mem" / "model_hash.mem").read_bytes() != (tmp_path / "b" / "mem" / "model_hash.mem").read_bytes()
    assert MODEL.content_hash() not in "".join(text.decode() for text in rtl[0].values())


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_default_capacity_holds_the_model_and_is_a_power_of_two(config: dict[str, Any]) -> None:
    blocks = plan(extreme(MODEL), HardwareConfig(weights="swappable", **config)).blocks
    fixed = generate(extreme(MODEL), HardwareConfig(**config))
    for block in blocks:
        entries = max(len(image.words) for image in fixed.memories if image.name.startswith(f"{block.name}_lane"))
        assert block.capacity is not None
        assert block.capacity & (block.capacity - 1) == 0
        assert block.capacity // 2 < entries <= block.capacity or block.capacity == 256 >= entries
        capacities = tuple(entries - 1 if other.name == block.name else 4096 for other in blocks)
        short = HardwareConfig(weights="swappable", weight_capacity=capacities, **config)
        with pytest.raises(UserError, match=rf"{entries} entries in a lane of {block.name} exceed weight_capacity={entries - 1}; prune"):
            plan(extreme(MODEL), short)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_widths_hold_the_worst_model_and_no_more(config: dict[str, Any]) -> None:
    # Where every weight is extreme, what follows from the weights is what follows from the shape.
    shape, weights = (plan(extreme(MODEL), HardwareConfig(weights=kind, **config)) for kind in ("swappable", "fixed"))
    for bound, exact in zip(shape.engines, weights.engines, strict=True):
        assert exact.acc_bits <= bound.acc_bits <= exact.acc_bits + 1
    assert weights.decoder.acc_bits <= shape.decoder.acc_bits <= weights.decoder.acc_bits + 1


def hardware_of(model: QuantizedModel, **config: Any) -> dict[str, Any]:
    return describe(model, generate(model, HardwareConfig(lanes=(4, 4, 3), **config)))


def test_the_capacity_of_the_first_model_stays() -> None:
    small = random_model(replace(SPEC, density=0.02))
    hardware = hardware_of(small, weights="swappable")
    again = generate_for(with_fractions(MODEL, small), hardware)
    assert [block.capacity for block in again.plan.blocks] == [256, 256, 256]
    with pytest.raises(UserError, match=r"entries in a lane of layer0 exceed weight_capacity=256; prune more"):
        generate_for(with_fractions(extreme(MODEL), small), hardware)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(SPEC, hidden=(20,)), r"model with layers=1 does not fit a design for layers=2; generate and build"),
        (replace(SPEC, tokens=8), r"tokens=8 does not fit a design for tokens=7"),
        (replace(SPEC, hidden=(20, 18)), r"layers.1.neurons=18 does not fit a design for layers.1.neurons=17"),
        (replace(SPEC, weight_bits=7), r"layers.0.weight_bits=7 does not fit"),
        (replace(SPEC, formats=Formats(event_bits=5)), r"formats.event_bits=5 does not fit"),
    ],
)
def test_another_shape_is_refused_by_name(other: RandomModelSpec, message: str) -> None:
    with pytest.raises(UserError, match=message):
        generate_for(random_model(other), hardware_of(MODEL, weights="loadable"))


def test_other_fractions_are_refused() -> None:
    other = replace(MODEL, decoder=replace(MODEL.decoder, weight_frac=MODEL.decoder.weight_frac + 1))
    with pytest.raises(UserError, match=r"decoder.weight_frac=\d+ does not fit"):
        generate_for(other, hardware_of(MODEL, weights="swappable"))


def test_a_bias_beyond_the_shape_is_refused() -> None:
    bias = MODEL.decoder.bias.copy()
    bias[0] = 1 << 22
    with pytest.raises(
        UserError, match=r"decoder bias of up to 4194304 with its weights needs 24 bits, where .* gets \d+; use weights=fixed"
    ):
        plan(replace(MODEL, decoder=replace(MODEL.decoder, bias=bias)), HardwareConfig(lanes=2, weights="loadable"))


def test_fixed_weights_stay() -> None:
    with pytest.raises(UserError, match=r"a design with weights=fixed cannot take other weights; generate it with --weights swappable"):
        generate_for(MODEL, hardware_of(MODEL))
    with pytest.raises(UserError, match=r"a design with weights=swappable cannot be loaded; generate it with --weights loadable"):
        load_writes(MODEL, hardware_of(MODEL, weights="swappable"))
    with pytest.raises(ValidationError, match="weight_capacity is for weights = 'swappable' or 'loadable'"):
        HardwareConfig(weight_capacity=100)
    with pytest.raises(UserError, match=r"weight_capacity=\[300, 300\] has 2 numbers for 3 blocks"):
        plan(MODEL, HardwareConfig(lanes=2, weights="swappable", weight_capacity=(300, 300)))


def test_a_host_writes_every_word_of_every_memory() -> None:
    hardware = hardware_of(MODEL, weights="loadable")
    other = random_model(replace(SPEC, seed=2))
    images = generate_for(other, hardware).memories
    writes = load_writes(other, hardware)
    assert writes[0] == writes[-1] == (Register.CONTROL, (1,))
    assert Counter(write.address for write in writes) == {
        Register.CONTROL: 2,
        Register.LOAD_ADDRESS: len(images),
        Register.LOAD_DATA: len(images),
    }
    found = {}
    for place, data in zip(writes[1:-1:2], writes[2:-1:2], strict=True):
        (address,) = place.words
        parts = (address >> 16 & 15) + 1
        assert address & 0xFFFF == 0
        rows = [data.words[low : low + parts] for low in range(0, len(data.words), parts)]
        found[address >> 20] = tuple(sum(word << 32 * part for part, word in enumerate(row)) for row in rows)
    assert found == {memory["number"]: images[memory["number"]].words for memory in hardware["memories"]}
    # The hash comes last: it says that all before it is there.
    assert writes[-3].words[0] >> 20 == 0


def test_of_weights_that_start_empty_a_host_writes_the_entries_and_the_hash(tmp_path: Path) -> None:
    config = HardwareConfig(lanes=(4, 2, 3), weights="single-port")
    generated = write(MODEL, config, tmp_path / "rtl")
    hardware = describe(MODEL, generated)
    writes = load_writes(MODEL, hardware)
    loaded = [write.words[0] >> 20 for write in writes[1:-1:2]]
    names = [memory["name"] for memory in hardware["memories"]]
    assert {names[number] for number in loaded} == {"model_hash", *(name for name in names if name.endswith("_entries"))}
    assert len(loaded) == 4 + 2 + 3 + 1
    assert loaded[-1] == 0
    for number, data in zip(loaded, writes[2:-1:2], strict=True):
        assert data.words == generated.memories[number].words
    # Nothing of what the host loads stands in the bitstream, all else is as with fixed weights.
    fixed = write(MODEL, config.model_copy(update={"weights": "fixed"}), tmp_path / "fixed")
    files, others = ({path.name: path.read_bytes() for path in (tmp_path / name / "mem").iterdir()} for name in ("rtl", "fixed"))
    assert files == {name: words for name, words in others.items() if "_entries" not in name}
    assert [block.acc_bits for block in generated.plan.blocks] == [block.acc_bits for block in fixed.plan.blocks]
    with pytest.raises(UserError, match=rf"a design with weights=single-port was made for model {MODEL.content_hash()[:12]}, not for"):
        load_writes(random_model(replace(SPEC, seed=2)), hardware)
    with pytest.raises(ValidationError, match="weight_capacity is for weights = 'swappable' or 'loadable'"):
        HardwareConfig(weights="single-port", weight_capacity=100)


def test_memories_that_cannot_be_loaded_are_refused() -> None:
    wide = random_model(RandomModelSpec(hidden=(64,), classes=64, density=0.05))
    with pytest.raises(UserError, match=r"memory layer0_directory of \d+ bits exceeds the 512 that can be loaded; use fewer lanes"):
        generate(wide, HardwareConfig(lanes=64, weights="loadable"))
    generate(wide, HardwareConfig(lanes=64, weights="swappable"))
    with pytest.raises(UserError, match=r"of 70000 words exceeds the 65536 that can be loaded; use a smaller weight_capacity"):
        generate(MODEL, HardwareConfig(lanes=2, weights="loadable", weight_capacity=70000))
