"""What the user chooses about the hardware, and what follows from it for one model."""

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hls_gen.lane_packing import Packing, pack_rows
from sw_model.errors import UserError
from sw_model.fixed_point import signed_bits
from sw_model.quantized_model import QuantizedModel

MAX_LANES = 64


class HardwareConfig(BaseModel):
    """The user's choices; every model they do not fit is refused by `plan`.

    Attributes:
        lanes: Lanes of every layer and of the decoder, or one number for each layer and then the decoder.
        queue_depth: Events that wait in front of each lane.
        lanes_per_update_unit: Most lanes that share one update unit; the largest divisor of the lanes that does not exceed it is used.
        stream_depth: Events that wait between two layers.
        counter_bits: Width of the performance counters.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lanes: int | tuple[int, ...] = 16
    queue_depth: int = Field(default=8, ge=2, le=64)
    lanes_per_update_unit: int = Field(default=4, ge=1, le=16)
    stream_depth: int = Field(default=8, ge=2, le=64)
    counter_bits: int = Field(default=40, ge=16, le=64)


@dataclass(frozen=True)
class MatrixPlan:
    """Lanes, rows and widths of one layer, or of the decoder.

    Attributes:
        name: ``layer0`` … or ``decoder``.
        inputs: Input event sources as physical indices run (0 in layer 0).
        recurrent: Own event sources (physical), 0 in the decoder.
        packing: Which lane and row each neuron (or class) has.
        update_units: Update units; 0 in the decoder.
        fields: Accumulators a row: z, r, gx and gr in a layer, one in the decoder.
        weight_bits: Bits of a stored weight.
        acc_bits: Width of an accumulator.
        acc_frac: Its fraction bits.
    """

    name: str
    inputs: int
    recurrent: int
    packing: Packing
    update_units: int
    fields: int
    weight_bits: int
    acc_bits: int
    acc_frac: int

    @property
    def columns(self) -> int:
        """Event sources: inputs, then the layer's own."""
        return self.inputs + self.recurrent


@dataclass(frozen=True)
class HardwarePlan:
    """Everything the RTL backend needs to know about one model on one configuration.

    Attributes:
        config: The user's choices.
        layers: One plan per layer.
        decoder: The decoder's plan.
    """

    config: HardwareConfig
    layers: tuple[MatrixPlan, ...]
    decoder: MatrixPlan

    @property
    def blocks(self) -> tuple[MatrixPlan, ...]:
        """All layers, then the decoder."""
        return (*self.layers, self.decoder)

    @property
    def lanes(self) -> int:
        """Lanes of all layers and the decoder together: the MACs that could be done in one cycle."""
        return sum(block.packing.lanes for block in self.blocks)


def plan(model: QuantizedModel, config: HardwareConfig) -> HardwarePlan:
    """Deal the rows of ``model`` to lanes and size every memory and accumulator.

    Raises:
        UserError: When the configuration cannot work for this model.
    """
    if model.tokens > 1 << 16:
        raise UserError(f"tokens={model.tokens}", "exceeds the 16-bit token stream", "use at most 65536 symbols")
    lanes = _lanes(model, config)
    event_bits, event_max = model.formats.event_bits, model.formats.event_max
    layers: list[MatrixPlan] = []
    inputs = 0
    for index, layer in enumerate(model.layers):
        load = np.count_nonzero(layer.input_weight, axis=(0, 2)) + np.count_nonzero(layer.recurrent_weight, axis=(0, 2))
        packing = pack_rows(f"layer{index}", load, lanes[index])
        # acc_gx and acc_gr are kept apart; acc_z and acc_r take inputs and recurrence together.
        merged = np.concatenate([layer.input_weight, layer.recurrent_weight], axis=2)
        layers.append(
            MatrixPlan(
                name=f"layer{index}",
                inputs=inputs,
                recurrent=packing.slots,
                packing=packing,
                update_units=packing.lanes // _largest_divisor(packing.lanes, config.lanes_per_update_unit),
                fields=4,
                weight_bits=layer.weight_bits,
                acc_bits=_accumulator_bits(merged.reshape(-1, merged.shape[2]), None, event_max, layer.weight_bits + event_bits),
                acc_frac=layer.weight_frac + event_bits,
            )
        )
        inputs = packing.slots
    decoder = model.decoder
    acc_bits = _accumulator_bits(decoder.weight, decoder.bias, event_max, decoder.weight_bits + event_bits)
    if acc_bits > 32:
        raise UserError(f"decoder accumulator of {acc_bits} bits", "exceeds the 32-bit logit stream", "use fewer weight or event bits")
    return HardwarePlan(
        config=config,
        layers=tuple(layers),
        decoder=MatrixPlan(
            name="decoder",
            inputs=inputs,
            recurrent=0,
            packing=pack_rows("decoder", np.count_nonzero(decoder.weight, axis=1), lanes[-1]),
            update_units=0,
            fields=1,
            weight_bits=decoder.weight_bits,
            acc_bits=acc_bits,
            acc_frac=decoder.weight_frac + event_bits,
        ),
    )


def _lanes(model: QuantizedModel, config: HardwareConfig) -> tuple[int, ...]:
    blocks = len(model.layers) + 1
    lanes = (config.lanes,) * blocks if isinstance(config.lanes, int) else config.lanes
    if len(lanes) != blocks:
        raise UserError(
            f"lanes={list(lanes)}",
            f"has {len(lanes)} numbers for a model of {len(model.layers)} layers and a decoder",
            f"give one number or {blocks}",
        )
    rows = [*(layer.neurons for layer in model.layers), model.classes]
    for count, row_count, index in zip(lanes, rows, range(blocks), strict=True):
        name = "decoder" if index == blocks - 1 else f"layer{index}"
        limit = min(MAX_LANES, row_count)
        if not 1 <= count <= limit:
            raise UserError(f"lanes={count} of {name}", f"is outside 1 to {limit} ({row_count} rows)", f"choose 1 to {limit}")
    return lanes


def _largest_divisor(number: int, limit: int) -> int:
    return max(d for d in range(1, min(number, limit) + 1) if number % d == 0)


def _accumulator_bits(rows: np.ndarray, bias: np.ndarray | None, event_max: int, product_bits: int) -> int:
    """Return the bits that hold every partial sum of every row (docs/semantics.md, section 7)."""
    weight = rows.astype(np.int64)
    high = np.maximum(weight, 0).sum(axis=1) * event_max
    low = np.minimum(weight, 0).sum(axis=1) * event_max
    if bias is not None:
        high += np.maximum(bias, 0)
        low += np.minimum(bias, 0)
    return max(signed_bits(int(low.min(initial=0)), int(high.max(initial=0))), product_bits)
