"""New weights for hardware that stands: whether a model fits it, and how its memory images get there.

Hardware with ``weights = "swappable"`` or ``"loadable"`` follows from the shape of its model alone: another model of that shape differs
in the memory images only. `hardware.json` of the generated folder says which shape that is.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from hls_gen.hardware_config import HardwareConfig
from hls_gen.registers import SOFT_RESET, Register
from hls_gen.rtl_backend import PART_BITS, GeneratedRtl, generate, loaded_memories, memory_table, model_shape
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel


class RegisterWrite(NamedTuple):
    """Words for one register, one after the other."""

    address: int
    words: tuple[int, ...]


def generate_for(model: QuantizedModel, hardware: Mapping[str, Any]) -> GeneratedRtl:
    """Generate ``model`` for hardware that stands.

    Args:
        model: The new model.
        hardware: What ``hardware.json`` of the generated folder says.

    Raises:
        UserError: When ``hardware`` is damaged, its weights are fixed, or the model is of another shape or too large.
    """
    config, there, memories = _read(hardware)
    if config.starts_empty and hardware.get("model_hash") != model.content_hash():
        raise UserError(
            f"a design with weights={config.weights}",
            f"was made for model {str(hardware.get('model_hash'))[:12]}, not for {model.content_hash()[:12]}",
            "generate and build it for this model",
        )
    for name, value in model_shape(model).items():
        if there.get(name) != value:
            raise UserError(
                f"model with {name}={value}",
                f"does not fit a design for {name}={there.get(name, 'none')}",
                "generate and build it for this model",
            )
    generated = generate(model, config)
    if memory_table(generated.memories) != memories:
        raise UserError("hardware.json", "lists other memories than this version generates", "generate and build the design again")
    return generated


def _read(hardware: Mapping[str, Any]) -> tuple[HardwareConfig, dict[str, Any], list[Any]]:
    """Return configuration, shape and memories of a `hardware.json`; a capacity that followed from the first model stays, as if asked for.

    Raises:
        UserError: When ``hardware`` is damaged or its weights are fixed.
    """
    config = read_config(hardware)
    if config.weights == "fixed":  # such a design names no capacities
        raise UserError(
            "a design with weights=fixed", "cannot take other weights", "generate it with --weights swappable, or --weights loadable"
        )
    try:
        if config.weights_may_change:
            capacities = tuple(int(block["capacity"]) for block in hardware["blocks"])
            # In its place, and so within the same limits.
            config = HardwareConfig.model_validate(config.model_dump() | {"weight_capacity": capacities})
        return config, dict(hardware["shape"]), list(hardware["memories"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError("hardware.json", "is truncated or altered", "generate and build the design again") from None


def read_config(hardware: Mapping[str, Any]) -> HardwareConfig:
    """Return the configuration in what ``hardware.json`` says.

    Raises:
        UserError: When it is damaged.
    """
    try:
        return HardwareConfig.model_validate(hardware["config"])
    except (KeyError, TypeError, ValueError):
        raise UserError("hardware.json", "is truncated or altered", "generate and build the design again") from None


def load_writes(model: QuantizedModel, hardware: Mapping[str, Any]) -> list[RegisterWrite]:
    """Return what a host writes to load ``model`` over AXI4-Lite: every memory, the hash last, between two resets of the core.

    Of a design with ``weights = "single-port"``, which takes no model but its own, only the memories that start empty, and the hash.

    The core must be idle. The first reset ends what still goes on of the last step, the second one forgets the state; both also switch the
    interrupt off.

    Raises:
        UserError: When the hardware cannot load, or not this model.
    """
    weights = read_config(hardware).weights
    if weights not in ("loadable", "single-port"):
        raise UserError(f"a design with weights={weights}", "cannot be loaded", "generate it with --weights loadable")
    return register_writes(generate_for(model, hardware))


def register_writes(generated: GeneratedRtl) -> list[RegisterWrite]:
    """Return what `load_writes` returns; none for hardware that is not loaded."""
    reset = RegisterWrite(Register.CONTROL, (SOFT_RESET,))
    writes = [reset]
    for number in reversed(loaded_memories(generated.plan.config, generated.memories)):
        image = generated.memories[number]
        parts = -(-image.bits // PART_BITS)
        writes.append(RegisterWrite(Register.LOAD_ADDRESS, (number << 20 | parts - 1 << 16,)))
        data = (word >> PART_BITS * part & (1 << PART_BITS) - 1 for word in image.words for part in range(parts))
        writes.append(RegisterWrite(Register.LOAD_DATA, tuple(data)))
    return [*writes, reset] if len(writes) > 1 else []
