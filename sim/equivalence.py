"""Run a generated core against the integer reference: RTL in Verilator, HLS C++ compiled."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hls_gen.backend import Backend
from hls_gen.library import read_source
from hls_gen.rtl_backend import HARDWARE_FILE
from sim.benches.egru_top import GENERATED_VARIABLE, LOADED_VARIABLE
from sim.build_cache import PACKAGE_ROOT, BenchError, cache_folder, digest, fill_run_folder, log_excerpt
from sim.comparison import STIMULUS_FILE
from sim.csim import compiled_library
from sim.csim_bench import REPORT_FILE
from sim.drivers import Pace
from sim.runner import library_closure, run_bench
from sim.toggles import read_toggles, toggle_counter

#: Whether clock cycles were counted, or follow from the cycle model of the RTL: C simulation has no clock.
Timing = Literal["measured", "estimated"]


@dataclass(frozen=True)
class BlockWork:
    """What the lanes of one layer, or of the decoder, did.

    Attributes:
        name: ``layer0`` …, ``layers`` (all on the same lanes) or ``decoder``.
        lanes: Its lanes.
        counters: Its hardware counters by name, see egru_layer_counters.sv. Without a clock there are no stalls to count.
    """

    name: str
    lanes: int
    counters: dict[str, int]


@dataclass(frozen=True)
class EquivalenceResult:
    """Outcome of an equivalence run that found no mismatch.

    Attributes:
        backend: What was simulated.
        timing: What ``cycles`` and the lanes' slots in ``blocks`` are; all other numbers were counted.
        steps: Time steps.
        events: Events of all layers.
        values: Values compared with ==.
        mismatches: Values that differed; 0, because the first one raises.
        timed_steps: The steps, from the first one on, that ``cycles`` and ``blocks`` cover; fewer than ``steps`` only in long estimates.
        cycles: Clock cycles from the first token to the last logit.
        blocks: Counters per layer and decoder.
        engine_steps: Steps of each engine; more than ``steps`` where layers share one and no token waited.
        logit_stalls: Cycles in which a logit waited.
        seconds: Wall-clock time: build and run; of compiled C++ also the part of the run spent in the core.
        log: Simulation log.
        toggles: Register bits that changed in ``cycles``, by layer, decoder and other parts of the core; empty where nobody asked.
    """

    backend: Backend
    timing: Timing
    steps: int
    events: int
    values: int
    mismatches: int
    timed_steps: int
    cycles: int
    blocks: tuple[BlockWork, ...]
    engine_steps: tuple[int, ...]
    logit_stalls: int
    seconds: dict[str, float]
    log: Path
    toggles: dict[str, int] = field(default_factory=dict)

    @property
    def lanes(self) -> int:
        """MACs that could be done in one cycle."""
        return sum(block.lanes for block in self.blocks)

    @property
    def macs(self) -> int:
        """MACs that were done."""
        return sum(block.counters["macs"] for block in self.blocks)

    @property
    def cycles_per_step(self) -> float:
        """Mean clock cycles of a time step, everything counted."""
        return self.cycles / self.timed_steps

    @property
    def occupancy(self) -> float:
        """Share of lane-cycles that did a useful MAC."""
        return self.macs / (self.lanes * self.cycles)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        values = asdict(self) | {"log": str(self.log), "lanes": self.lanes, "macs": self.macs}
        return values | {"cycles_per_step": self.cycles_per_step, "occupancy": self.occupancy}


def check_equivalence(
    generated: Path,
    sequences: Sequence[Sequence[Any]],
    *,
    input_pace: Pace = Pace.FULL,
    output_pace: Pace = Pace.FULL,
    loaded: Path | None = None,
    seed: int = 1,
    waves: bool = False,
    toggles: bool = False,
    run_dir: Path | None = None,
) -> EquivalenceResult:
    """Stream ``sequences`` through the core in folder ``generated`` and compare with the reference, event for event, logit for logit.

    Args:
        generated: Folder that a backend wrote; which one stands in it. HLS C++ has no clock: of the options below it takes the seed and
            the last one.
        sequences: Of each sequence the tokens, or for a model of features the input events of every step, int, shape (steps, channels);
            none empty; the state starts at zero in each.
        input_pace: How often the input stream idles.
        output_pace: How often the logit stream refuses.
        loaded: Folder of another model: it is loaded over AXI4-Lite first, after a few tokens for the model in ``generated``.
        seed: Of the stalls and of the random initial values of registers and memories.
        waves: Record waves in the run folder.
        toggles: Count the register bits that change while the core is busy; with ``loaded`` also those of the first model's tokens.
        run_dir: Where to run and leave the log; by default in the build cache.

    Raises:
        BenchError: At the first mismatch; its case is saved and named. Or when the sources do not compile or do not run.
        UserError: When the compiler or the headers that HLS C++ needs are missing.
        ValueError: When an option has no meaning for what is in the folder.
    """
    generated = Path(generated).resolve()
    hardware = json.loads((generated / HARDWARE_FILE).read_text())
    stimulus = [np.asarray(sequence).tolist() for sequence in sequences]
    if Backend.of_format(hardware["format"]) is Backend.HLS:
        if (input_pace, output_pace, loaded, waves, toggles) != (Pace.FULL, Pace.FULL, None, False, False):
            raise ValueError("C simulation has neither stalls nor waves nor registers, and HLS C++ loads no weights")
        return _check_csim(generated, hardware, stimulus, seed, run_dir)
    environment = {GENERATED_VARIABLE: str(generated), "EGRU_INPUT_PACE": input_pace.value, "EGRU_OUTPUT_PACE": output_pace.value}
    if loaded is not None:
        environment[LOADED_VARIABLE] = str(Path(loaded).resolve())
    # What a board has around the core needs the primitives of its part.
    sources = library_closure("egru_top", library=generated / "rtl")
    result = run_bench(
        "egru_top",
        "sim.benches.egru_top",
        sources=[*sources, toggle_counter("egru_top", sources, "busy")] if toggles else sources,
        files={f"mem/{path.name}": read_source(path) for path in sorted((generated / "mem").glob("*.mem"))}
        | {STIMULUS_FILE: json.dumps(stimulus)},
        seed=seed,
        extra_env=environment,
        waves=waves,
        run_dir=run_dir,
        probes=[("egru_layer*", "own_*"), ("egru_layer*", "step"), ("egru_layer*", "active")],
    )
    report = result.report
    return EquivalenceResult(
        backend=Backend.RTL,
        timing="measured",
        **report["equivalence"],
        timed_steps=report["equivalence"]["steps"],
        cycles=report["cycles"],
        blocks=_blocks(hardware, report),
        engine_steps=tuple(report["engine_steps"]),
        logit_stalls=report["logit_stalls"],
        seconds={"build": result.build_seconds, "run": result.run_seconds},
        log=result.log,
        toggles=read_toggles(result.run_dir) if toggles else {},
    )


def _check_csim(
    generated: Path, hardware: dict[str, Any], sequences: list[list[Any]], seed: int, run_dir: Path | None
) -> EquivalenceResult:
    started = time.monotonic()
    library = compiled_library(generated)
    build_seconds = time.monotonic() - started
    if run_dir is None:
        run_dir = cache_folder() / "runs" / f"{library.parent.name}-{digest([str(generated), sequences, seed])[:12]}"
    run_dir = Path(run_dir).resolve()
    fill_run_folder(run_dir, {STIMULUS_FILE: json.dumps(sequences)})
    log = run_dir / "run.log"
    started = time.monotonic()
    # From here the package is found, wherever it is installed.
    command = [sys.executable, "-m", "sim.csim_bench", str(generated), str(library), str(run_dir), str(seed)]
    with log.open("w") as output:
        status = subprocess.run(command, cwd=PACKAGE_ROOT, stdout=output, stderr=output, check=False).returncode
    report_file = run_dir / REPORT_FILE
    report = json.loads(report_file.read_text()) if report_file.is_file() else {}
    if status or "equivalence" not in report:
        ended = f"the program ended by {signal.Signals(-status).name}" if status < 0 else f"the program ended with status {status}"
        what = f"C simulation failed with seed {seed}: {report.get('failure', ended)}; stimulus in {run_dir / STIMULUS_FILE}; log {log}"
        raise BenchError(f"{what}:\n{log_excerpt(log)}")
    steps = report["equivalence"]["steps"]
    return EquivalenceResult(
        backend=Backend.HLS,
        timing="estimated",
        **report["equivalence"],
        timed_steps=report["timed_steps"],
        cycles=report["cycles"],
        blocks=_blocks(hardware, report),
        engine_steps=(steps,) * (len(hardware["blocks"]) - 1),
        logit_stalls=0,
        seconds={"build": build_seconds, "run": time.monotonic() - started, "core": report["core_seconds"]},
        log=log,
    )


def _blocks(hardware: dict[str, Any], report: dict[str, Any]) -> tuple[BlockWork, ...]:
    pairs = zip(hardware["blocks"], report["blocks"], strict=True)
    return tuple(BlockWork(block["name"], block["lanes"], counters) for block, counters in pairs)
