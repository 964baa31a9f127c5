"""Sizing a board: what a model costs on a hardware configuration, without generating, simulating or synthesising anything."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hls_gen.board import Board, Family
from hls_gen.cycle_model import CyclePrediction, predict, record_activity
from hls_gen.device import Resource
from hls_gen.hardware_config import HardwareConfig
from hls_gen.resource_model import ResourceEstimate, check_budget, estimate_on_board, estimate_resources
from hls_gen.sparse_encoding import pack
from sw_model.quantized_model import QuantizedModel


def estimate(
    model: QuantizedModel,
    config: HardwareConfig,
    sequences: Sequence[Any],
    *,
    board: Board | None = None,
    family: Family = Family.ECP5,
    clock_mhz: float | None = None,
) -> dict[str, Any]:
    """Predict cycles and resources of ``model``.

    Args:
        model: The model.
        config: The hardware.
        sequences: Tokens, or input events, that it is shown, see `hls_gen.cycle_model.record_activity`.
        board: Its budget is checked first, and its clock is taken where none is given.
        family: Whose resources are counted without a board.
        clock_mhz: Clock of the core.

    Returns:
        JSON values; ``us_per_step`` is None without a clock.

    Raises:
        UserError: When the configuration cannot work for this model, or the board cannot hold it.
    """
    packed = pack(model, config)
    resources = estimate_resources(model, packed, family) if board is None else estimate_on_board(model, packed, board)
    if board is not None:
        check_budget(resources, board)
        clock_mhz = board.clock.core_mhz if clock_mhz is None else clock_mhz
    cycles = predict(model, packed, record_activity(model, sequences))
    return {
        "config": config.model_dump(mode="json"),
        "steps": cycles.steps,
        **_cycles(cycles, clock_mhz),
        **_resources(resources),
        "board": None if board is None else {"name": board.name, **_budget(board)},
    }


def _cycles(found: CyclePrediction, clock_mhz: float | None) -> dict[str, Any]:
    shares = [
        {"block": share.block, "term": share.term.value, "cycles": share.cycles, "share": share.cycles / found.cycles}
        for share in found.critical_path
    ]
    blocks = [
        {"name": block.name, "lanes": block.lanes, "macs_per_step": block.macs / found.steps, "occupancy": block.occupancy}
        for block in found.blocks
    ]
    return {
        "cycles": found.cycles,
        "cycles_per_step": found.cycles_per_step,
        "clock_mhz": clock_mhz,
        "us_per_step": None if clock_mhz is None else found.cycles_per_step / clock_mhz,
        "occupancy": found.occupancy,
        "limit": shares[0],
        "critical_path": shares,
        "blocks": blocks,
    }


def _resources(found: ResourceEstimate) -> dict[str, Any]:
    amounts = {resource.value: found.of(resource) for resource in Resource}
    return {"family": found.family.value, **amounts, "memories": [asdict(use) for use in found.memories]}


def _budget(board: Board) -> dict[str, int]:
    return {resource.value: getattr(board.budget, resource.value) for resource in Resource}
