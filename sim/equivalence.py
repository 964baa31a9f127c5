"""Run a generated core in Verilator against the integer reference."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim.benches.egru_top import GENERATED_VARIABLE, LOADED_VARIABLE, STIMULUS_FILE
from sim.drivers import Pace
from sim.runner import library_closure, run_bench


@dataclass(frozen=True)
class BlockWork:
    """What the lanes of one layer, or of the decoder, did.

    Attributes:
        name: ``layer0`` …, ``layers`` (all on the same lanes) or ``decoder``.
        lanes: Its lanes.
        counters: Its hardware counters by name, see egru_layer_counters.sv.
    """

    name: str
    lanes: int
    counters: dict[str, int]


@dataclass(frozen=True)
class EquivalenceResult:
    """Outcome of an equivalence run that found no mismatch.

    Attributes:
        steps: Time steps.
        events: Events of all layers.
        values: Values compared with ==.
        mismatches: Values that differed; 0, because the first one raises.
        cycles: Clock cycles from the first token to the last logit.
        blocks: Counters per layer and decoder.
        engine_steps: Steps of each engine; more than ``steps`` where layers share one and no token waited.
        logit_stalls: Cycles in which a logit waited.
        seconds: Wall-clock time: build and run.
        log: Simulation log.
    """

    steps: int
    events: int
    values: int
    mismatches: int
    cycles: int
    blocks: tuple[BlockWork, ...]
    engine_steps: tuple[int, ...]
    logit_stalls: int
    seconds: dict[str, float]
    log: Path

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
        return self.cycles / self.steps

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
    sequences: Sequence[Sequence[int]],
    *,
    input_pace: Pace = Pace.FULL,
    output_pace: Pace = Pace.FULL,
    loaded: Path | None = None,
    seed: int = 1,
    waves: bool = False,
    run_dir: Path | None = None,
) -> EquivalenceResult:
    """Stream token ``sequences`` through the core in folder ``generated`` and compare with the reference, event for event, logit for logit.

    Args:
        generated: Folder that `hls_gen.rtl_backend.write` wrote.
        sequences: Tokens of each sequence, none empty; the state starts at zero in each.
        input_pace: How often the token stream idles.
        output_pace: How often the logit stream refuses.
        loaded: Folder of another model: it is loaded over AXI4-Lite first, after a few tokens for the model in ``generated``.
        seed: Of the stalls and of the random initial values of registers and memories.
        waves: Record waves in the run folder.
        run_dir: Where to run and leave the log; by default in the build cache.

    Raises:
        BenchError: At the first mismatch; its case is saved and named.
    """
    generated = Path(generated).resolve()
    blocks = json.loads((generated / "hardware.json").read_text())["blocks"]
    environment = {GENERATED_VARIABLE: str(generated), "EGRU_INPUT_PACE": input_pace.value, "EGRU_OUTPUT_PACE": output_pace.value}
    if loaded is not None:
        environment[LOADED_VARIABLE] = str(Path(loaded).resolve())
    result = run_bench(
        "egru_top",
        "sim.benches.egru_top",
        # What a board has around the core needs the primitives of its part.
        sources=library_closure("egru_top", library=generated / "rtl"),
        files={f"mem/{path.name}": path.read_text() for path in sorted((generated / "mem").glob("*.mem"))}
        | {STIMULUS_FILE: json.dumps([list(map(int, sequence)) for sequence in sequences])},
        seed=seed,
        extra_env=environment,
        waves=waves,
        run_dir=run_dir,
        probes=[("egru_layer*", "own_*"), ("egru_layer*", "step"), ("egru_layer*", "active")],
    )
    report = result.report
    return EquivalenceResult(
        **report["equivalence"],
        cycles=report["cycles"],
        blocks=tuple(BlockWork(block["name"], block["lanes"], found) for block, found in zip(blocks, report["blocks"], strict=True)),
        engine_steps=tuple(report["engine_steps"]),
        logit_stalls=report["logit_stalls"],
        seconds={"build": result.build_seconds, "run": result.run_seconds},
        log=result.log,
    )
