"""Simulating a generated folder: what it is shown, where the log goes, and what a failure means."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from egru.artifacts import GeneratedFolder, changes_remark, read_generated
from egru.energy import EnergyModel, count_operations, describe
from egru.flow_config import SimulationConfig
from egru.output import CheckFailedError, progress_console, words_to_stderr, working
from egru.stimulus import Inputs, choose_inputs, judge
from egru.tools import require_tools
from hls_gen.backend import Backend
from hls_gen.hardware_config import HardwareConfig
from hls_gen.rtl_backend import HARDWARE_FILE
from sim.build_cache import BenchError
from sim.comparison import LOGITS_FILE
from sim.drivers import Pace
from sim.equivalence import EquivalenceResult, check_equivalence
from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder

RESULT_FILE = "simulation.json"


@dataclass(frozen=True)
class Counting:
    """What is counted beside cycles and events, see `egru.energy`.

    Attributes:
        toggles: Count register bits that change, too: Verilator builds a simulation of its own for that.
        energy_model: What the counts cost.
    """

    toggles: bool = False
    energy_model: EnergyModel | None = None


@dataclass(frozen=True)
class Simulation:
    """What a simulation showed.

    Attributes:
        result: The comparison.
        stimulus: What the hardware was shown.
        counts: What a step does, as JSON values of `egru.energy.describe`; None where it was not counted.
        features: Of a model of features what was found beside, as JSON values; None of one of tokens.
    """

    result: EquivalenceResult
    stimulus: str
    counts: dict[str, Any] | None = None
    features: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        added = {"counts": self.counts, "features": self.features}
        return {**self.result.to_json(), "stimulus": self.stimulus} | {name: what for name, what in added.items() if what is not None}


def run_simulation(
    generated: Path,
    settings: SimulationConfig,
    out: Path,
    *,
    data: str | None = None,
    waves: bool = False,
    counting: Counting | None = None,
    backend: Backend | None = None,
    force: bool = False,
) -> Simulation:
    """Stream held-out text or features, or random inputs for a model that knows none, through generated hardware.

    Args:
        generated: A folder that `egru generate` wrote: RTL is simulated, HLS C++ is compiled.
        settings: Steps, sequences, seed and stalls. Where neither steps nor sequences are set, HLS C++ is shown every test sequence of a
            data set.
        out: Output folder, which appears when the simulation has ended; the case of a mismatch is then there too.
        data: The text or data set; None for the one that the model was trained on, where that comes with this package.
        waves: Record waves.
        counting: Count what a step does; not if not given.
        backend: What the folder must hold; anything if not given.
        force: Replace what ``out`` holds.

    Raises:
        UserError: When the input, the text or the output folder will not do, a setting has no meaning for what is simulated, or a tool is
            missing.
        CheckFailedError: At a mismatch, or when the hardware cannot be simulated.
    """
    folder = read_generated(generated, backend)
    if folder.backend is Backend.HLS:
        _refuse_clocked(settings, waves=waves, counts=counting is not None)
    # Compiled C++ is through with all test sequences before RTL is through with a few.
    every = folder.backend is Backend.HLS and not {"sequences", "steps"} & settings.model_fields_set
    inputs = choose_inputs(folder.model, sequences=settings.sequences, seed=settings.seed, steps=settings.steps, source=data, every=every)
    require_free(out, force=force)
    if folder.backend is Backend.RTL:
        require_tools()
    for words in filter(None, (inputs.remark, changes_remark(folder.folder))):
        progress_console.print(words, soft_wrap=True, markup=False)
    out = Path(out).resolve()
    failure = ""
    with staged_folder(out, force=force) as work:
        try:
            with working(f"simulating {inputs.steps} steps"), words_to_stderr():
                result = check_equivalence(
                    folder.folder,
                    inputs.sequences,
                    input_pace=settings.idle,
                    output_pace=settings.back_pressure,
                    seed=settings.seed,
                    waves=waves,
                    toggles=counting is not None and counting.toggles,
                    run_dir=work,
                )
        except BenchError as error:
            # The first line names seed, saved case and log; the rest is an excerpt of that log.
            failure = str(error).splitlines()[0].rstrip(":").replace(str(work), str(out))
            if not any(work.iterdir()):  # it was not even built
                raise CheckFailedError(failure) from None
        else:
            counts = None if counting is None else _count(folder, result, inputs.sequences, counting.energy_model)
            features = _judge(folder, result, inputs, work) if folder.model.channels else None
            done = Simulation(replace(result, log=out / result.log.relative_to(work)), inputs.title, counts, features)
            (work / RESULT_FILE).write_text(json.dumps(done.to_json(), indent=1) + "\n")
    if failure:
        raise CheckFailedError(failure)
    return done


def _judge(folder: GeneratedFolder, result: EquivalenceResult, inputs: Inputs, work: Path) -> dict[str, Any]:
    """Say what came in, and what the model decides from the logits that the hardware gave."""
    logits = np.load(work / LOGITS_FILE, allow_pickle=False)
    input_events = sum(int(np.count_nonzero(events)) for events in inputs.sequences)
    return {
        "input_events": input_events,
        "input_event_density": input_events / (folder.model.channels * result.steps),
        "saturated_inputs": inputs.saturated,
        **({} if inputs.split is None else judge(folder.model, inputs.split, logits, cut=inputs.cut)),
    }


def _count(
    folder: GeneratedFolder, result: EquivalenceResult, sequences: Sequence[Any], energy_model: EnergyModel | None
) -> dict[str, Any]:
    config = HardwareConfig.model_validate(json.loads((folder.folder / HARDWARE_FILE).read_text())["config"])
    try:
        return describe(count_operations(result, folder.model, config, sequences), energy_model)
    except ValueError as error:
        raise UserError(f"folder {folder.folder}", f"cannot be counted: {error}", "generate it again") from None


def _refuse_clocked(settings: SimulationConfig, *, waves: bool, counts: bool) -> None:
    """Refuse by name what only a simulation with a clock can do."""
    given = [
        *(["waves"] if waves else []),
        *(["counts"] if counts else []),
        *(
            f"{name}={pace.value}"
            for name, pace in (("idle", settings.idle), ("back_pressure", settings.back_pressure))
            if pace is not Pace.FULL
        ),
    ]
    if given:
        raise UserError(f"setting {given[0]}", "has no meaning in C simulation, which has no clock", "leave it out, or simulate RTL")
