"""What `--fit` and `egru boards MODEL` do: choose the hardware of a model for a board, and say so."""

from typing import Any

from egru.stimulus import sample_inputs
from hls_gen.board import Board, known_boards, load_board
from hls_gen.cycle_model import Activity, record_activity
from hls_gen.device import Resource
from hls_gen.fit import Fit, as_toml, fit
from hls_gen.hardware_config import HardwareConfig
from hls_gen.resource_model import available
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel

#: Enough to tell one choice from another: the order of the candidates follows from who fires, not from the text.
FIT_STEPS = 12


def observe(model: QuantizedModel, data: str | None, seed: int) -> Activity:
    """Run ``model`` over a few steps of held-out text or features, or of random inputs where it knows none.

    Raises:
        UserError: When the text or the data set cannot be read, or is not the model's.
    """
    return record_activity(model, sample_inputs(model, steps=FIT_STEPS, sequences=1, seed=seed, source=data).sequences)


def choose(model: QuantizedModel, board: Board, base: HardwareConfig, *, data: str | None = None, seed: int = 1) -> Fit:
    """Choose the hardware of ``model`` for ``board``; what is set in ``base`` stays.

    Raises:
        UserError: When nothing fits, or the text cannot be read.
    """
    return fit(model, board, observe(model, data, seed), base)


def fit_report(found: Fit) -> dict[str, Any]:
    """Return the choice as JSON values."""
    return {
        "board": found.board.name,
        "reason": found.reason,
        "config": found.config.model_dump(mode="json"),
        "toml": "\n".join(as_toml(found.config)),
        "lanes": [block.lanes for block in found.cycles.blocks],
        "cycles_per_step": found.cycles.cycles_per_step,
        "clock_mhz": found.board.clock.core_mhz,
        "us_per_step": found.cycles.cycles_per_step / found.board.clock.core_mhz,
        "resources": {
            resource.value: {
                "needed": found.resources.of(resource),
                "available": available(found.board, resource),
                "share": found.shares[resource],
            }
            for resource in Resource
        },
    }


def fit_all_boards(model: QuantizedModel, *, data: str | None = None, seed: int = 1) -> list[dict[str, Any]]:
    """Return for every board its choice, or why there is none: ``board``, ``fits``, and then `fit_report` or ``reason``.

    Raises:
        UserError: When the text cannot be read.
    """
    activity = observe(model, data, seed)
    rows = []
    for name in known_boards():
        board = load_board(name)
        try:
            rows.append({"fits": True, **fit_report(fit(model, board, activity))})
        except UserError as error:
            rows.append({"fits": False, "board": name, "reason": str(error)})
    return rows
