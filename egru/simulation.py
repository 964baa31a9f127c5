"""Simulating a generated folder: what it is shown, where the log goes, and what a failure means."""

import json
from pathlib import Path

import numpy as np

from egru.artifacts import deal_sequences, load_matching_text, read_generated, text_info
from egru.flow_config import SimulationConfig
from egru.output import CheckFailedError, progress_console, words_to_stderr, working
from egru.tools import require_tools
from sim.equivalence import EquivalenceResult, check_equivalence
from sim.runner import BenchError
from sw_model.datasets import EMBEDDED
from sw_model.errors import UserError
from sw_model.output_folder import require_free
from sw_model.quantized_model import QuantizedModel

RESULT_FILE = "simulation.json"


def run_simulation(
    generated: Path, settings: SimulationConfig, out: Path, *, data: str | None = None, waves: bool = False, force: bool = False
) -> tuple[EquivalenceResult, str]:
    """Stream held-out text, or random tokens for a model without a vocabulary, through generated RTL.

    Args:
        generated: A folder written by `hls_gen.rtl_backend.write`.
        settings: Steps, sequences, seed and stalls.
        out: Output folder. The simulation runs in it, so that the case of a mismatch stays there.
        data: The text; None for the one that the model was trained on, where that is the embedded one.
        waves: Record waves.
        force: Replace what ``out`` holds.

    Returns:
        The comparison, and what the RTL was shown.

    Raises:
        UserError: When the input, the text or the output folder will not do, or a tool is missing.
        CheckFailedError: At a mismatch, or when the RTL cannot be simulated.
    """
    folder = read_generated(generated)
    tokens, stimulus, remark = _stimulus(folder.model, settings, data)
    sequences = deal_sequences(tokens, settings.steps, settings.sequences)
    require_free(out, force=force)
    require_tools()
    if remark:
        progress_console.print(remark, soft_wrap=True)
    try:
        with working(f"simulating {settings.steps} steps"), words_to_stderr():
            result = check_equivalence(
                folder.folder,
                sequences,
                input_pace=settings.idle,
                output_pace=settings.back_pressure,
                seed=settings.seed,
                waves=waves,
                run_dir=out,
            )
    except BenchError as error:
        # The first line names seed, saved case and log; the rest is an excerpt of that log.
        raise CheckFailedError(str(error).splitlines()[0].rstrip(":")) from None
    (out / RESULT_FILE).write_text(json.dumps({**result.to_json(), "stimulus": stimulus}, indent=1) + "\n")
    return result, stimulus


def _stimulus(model: QuantizedModel, settings: SimulationConfig, data: str | None) -> tuple[np.ndarray, str, str]:
    """Return the tokens, what they are, and what the user should know of the choice."""
    info = text_info(model)
    if info is None and data is not None:
        raise UserError(f"text {data}", "cannot be streamed into a model without a vocabulary", "leave out --data: tokens are then random")
    if info is not None and (data is not None or info.name == EMBEDDED):
        dataset = load_matching_text(info, data)
        return dataset.test, f"held-out {dataset.unit} of {dataset.name}", ""
    remark = "" if info is None else f"the model was trained on {info.name}: tokens are random unless that text is given with --data"
    return np.random.default_rng(settings.seed).integers(model.tokens, size=settings.steps), "random tokens", remark
