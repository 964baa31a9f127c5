"""Compares a compiled core with the reference, as a process of its own: what a user has changed in the sources may crash, hang or print.

python -m sim.csim_bench GENERATED LIBRARY RUN_DIR SEED, with the sequences in RUN_DIR/stimulus.json; what came out is then in
RUN_DIR/report.json.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hls_gen.cycle_model import Activity, predict
from hls_gen.hardware_config import HardwareConfig
from hls_gen.rtl_backend import HARDWARE_FILE, MODEL_FOLDER
from sim.build_cache import BenchError
from sim.comparison import LOGITS_FILE, STIMULUS_FILE, Places, check_complete, core_scoreboard, sequence_ends
from sim.csim import CompiledCore, load_core
from sim.scoreboard import MismatchError, Scoreboard
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference, Step

REPORT_FILE, FAILURE_FOLDER = "report.json", "failure"
#: Steps whose clock cycles are estimated, from the first one on: the cycle model takes some 10 ms for each.
TIMED_STEPS = 1000


def compare(
    core: CompiledCore, model: QuantizedModel, blocks: list[dict[str, Any]], sequences: list[list[Any]], scoreboard: Scoreboard
) -> tuple[Activity, np.ndarray]:
    """Stream ``sequences`` through ``core`` and compare everything that leaves it.

    Args:
        core: The core.
        model: What it is to compute.
        blocks: Those of its ``hardware.json``.
        sequences: Of each sequence the tokens, or the input events of every step; none empty.
        scoreboard: Counts and saves.

    Returns:
        Who fired when, and which channels had an event; and the logits of the core, int64, shape (steps, classes).

    Raises:
        MismatchError: At the first difference.
        BenchError: When a stream of the core did not hold what it should.
    """
    places = [Places(block) for block in blocks if block["layers"]]
    expected = _expected(model, sequences)
    fired: list[list[np.ndarray]] = [[] for _ in places]
    ends: list[np.ndarray] = []
    answers: list[np.ndarray] = []
    step = 0
    for beats in core.run_sequences(sequences):
        for found, logits in zip(beats.events(), beats.logits, strict=True):
            wanted = next(expected)
            for layer, events in enumerate(found):
                mine = places[layer].by_layer(events)[layer]
                scoreboard.check_events(step, layer, mine, wanted.fired[layer][0], wanted.events[layer][0])
                fired[layer].append(wanted.fired[layer][0])
            scoreboard.check_logits(step, logits, wanted.logits[0])
            step += 1
        ends.append(beats.ends)
        answers.append(beats.logits)
    check_complete(scoreboard, model, step)
    last = np.concatenate(ends)
    scoreboard.check(step - 1, "top", "end of sequence", np.flatnonzero(last), sequence_ends(sequences))
    scoreboard.check(step - 1, "top", "model hash", _halves(core.model_hash), _halves(int(model.content_hash()[-16:], 16)))
    scoreboard.check(step - 1, "top", "number of token errors", [core.token_errors], [0])
    inputs = np.concatenate([np.array(sequence) > 0 for sequence in sequences]) if model.channels else None
    return Activity(tuple(np.array(layer) for layer in fired), last, inputs), np.concatenate(answers).astype(np.int64)


def estimate(model: QuantizedModel, config: HardwareConfig, activity: Activity) -> dict[str, Any]:
    """Return clock cycles and lane counters of the first `TIMED_STEPS` steps: what the lanes did is estimated, events are counted."""
    steps = min(activity.steps, TIMED_STEPS)
    last = activity.last[:steps].copy()
    last[-1] = True
    inputs = None if activity.inputs is None else activity.inputs[:steps]
    timed = Activity(tuple(fired[:steps] for fired in activity.fired), last, inputs)
    predicted = predict(model, config, timed)
    read = 0 if inputs is None else int(np.count_nonzero(inputs))
    sent = [int(np.count_nonzero(fired)) for fired in timed.fired]
    counters = [
        {
            "steps": steps,
            "input_events": arriving,
            "own_events": own,
            "macs": block.macs,
            "fetch_slots": block.fetch_slots,
            "idle_slots": block.idle_slots,
        }
        for block, arriving, own in zip(predicted.blocks, [read, *sent], [*sent, 0], strict=True)
    ]
    return {"timed_steps": steps, "cycles": predicted.cycles, "blocks": counters}


def main(arguments: Sequence[str]) -> int:
    """Compare, write the report, and return the exit code: 0 only when everything is equal."""
    generated, library, run_dir = map(Path, arguments[:3])
    hardware = json.loads((generated / HARDWARE_FILE).read_text())
    model = QuantizedModel.load(generated / MODEL_FOLDER)
    sequences = json.loads((run_dir / STIMULUS_FILE).read_text())
    scoreboard = core_scoreboard(run_dir / FAILURE_FOLDER, int(arguments[3]), model, hardware, sequences)
    core = load_core(library, hardware)
    report: dict[str, Any]
    try:
        activity, logits = compare(core, model, hardware["blocks"], sequences, scoreboard)
    except (MismatchError, BenchError) as error:
        print(error)
        report = {"failure": str(error)}
    else:
        if model.channels:
            np.save(run_dir / LOGITS_FILE, logits, allow_pickle=False)
        report = {
            "equivalence": scoreboard.report(),
            "core_seconds": core.seconds,
            **estimate(model, HardwareConfig.model_validate(hardware["config"]), activity),
        }
    (run_dir / REPORT_FILE).write_text(json.dumps(report, indent=1) + "\n")
    return int("failure" in report)


def _expected(model: QuantizedModel, sequences: list[list[Any]]) -> Iterator[Step]:
    reference = BatchedReference(model)
    for sequence in sequences:
        yield from reference.run(np.array([sequence], np.int64))


def _halves(value: int) -> list[int]:
    return [value >> 32, value & 0xFFFF_FFFF]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
