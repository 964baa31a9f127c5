"""One configuration of the fuzzer: how it is drawn, written, read, and compared with the reference."""

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any, Literal, NoReturn

import numpy as np
from pydantic import Field

from hls_gen import hls_backend, rtl_backend
from hls_gen.backend import Backend
from hls_gen.hardware_config import HardwareConfig, plan
from hls_gen.weight_image import generate_for
from sim.build_cache import BenchError
from sim.drivers import Pace
from sim.equivalence import check_equivalence
from sw_model.errors import UserError
from sw_model.fixed_point import rescale
from sw_model.input_file import read_json
from sw_model.output_folder import staged_folder
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import draw_events, draw_model, redraw_values, redraw_weights
from sw_model.reference import BatchedReference, EventDrivenStream, Step
from sw_model.strict_toml import StrictModel, validate

CASE_FILE, HARDWARE_FILE, MODEL_FOLDER, LOADED_FOLDER = "case.json", "hardware.json", "model", "loaded"
#: Configurations that are drawn for one build of RTL; they differ in values, stimulus, stalls and initial state.
VARIANTS = 8
MOST_LANES = 6
MOST_SEQUENCES, MOST_STEPS = 4, 32
#: Share of the groups whose model reads features.
FEATURE_SHARE = 0.25
#: Of the groups whose weights are fixed, those that have them in RAM that starts empty.
SINGLE_PORT_SHARE = 0.15
#: A comparison that takes longer hangs.
CHECK_SECONDS = 300.0

Oracle = Literal["batched", "fake-quantised", "rtl", "hls"]
Kind = Literal["mismatch", "error", "hang"]
ORACLE_OF: dict[Backend, Oracle] = {Backend.RTL: "rtl", Backend.HLS: "hls"}
#: Looking up a build that is kept takes less.
NO_BUILD_SECONDS = 1.0


@dataclass(frozen=True)
class Case:
    """A model, hardware and a stimulus: all that a comparison depends on.

    Attributes:
        model: What the hardware is generated for.
        hardware: The configuration.
        sequences: Of each its tokens, or the input events of its steps, a number for each channel; none empty.
        loaded: A model that is loaded over AXI4-Lite first, and compared instead.
        input_pace: How often the input stream idles.
        output_pace: How often the logit stream refuses.
        seed: Of stalls and initial values.
    """

    model: QuantizedModel
    hardware: HardwareConfig
    sequences: tuple[tuple[Any, ...], ...]
    loaded: QuantizedModel | None = None
    input_pace: Pace = Pace.FULL
    output_pace: Pace = Pace.FULL
    seed: int = 1

    @property
    def compared(self) -> QuantizedModel:
        """The model that answers."""
        return self.model if self.loaded is None else self.loaded

    @property
    def steps(self) -> int:
        """Time steps of all sequences."""
        return sum(map(len, self.sequences))


@dataclass(frozen=True)
class Finding:
    """Something that is not as the reference says.

    Attributes:
        oracle: What was compared with the reference.
        kind: Another value, a comparison that broke off, or one that did not end.
        message: One line.
        step: First step that differs, where there is one.
    """

    oracle: Oracle
    kind: Kind
    message: str
    step: int | None = None

    def same_as(self, other: "Finding | None") -> bool:
        """Say whether ``other`` looks like the same defect."""
        return other is not None and (self.oracle, self.kind) == (other.oracle, other.kind)


@dataclass
class Counts:
    """What was compared; `add` sums.

    Attributes:
        configurations: Distinct cases of which hardware was compared.
        steps: Time steps of them, each counted once.
        events: Events of them.
        stalls: Clock cycles in which a logit waited.
        saturations: Pre-activation sums that were clamped, and events at the largest value.
        compared: Comparisons by oracle.
        refused: Cases that a backend refused by name.
        builds: RTL builds.
    """

    configurations: int = 0
    steps: int = 0
    events: int = 0
    stalls: int = 0
    saturations: int = 0
    compared: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    builds: int = 0

    def add(self, other: "Counts") -> None:
        """Add ``other`` to this."""
        for name in ("configurations", "steps", "events", "stalls", "saturations", "builds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.compared, other.compared), (self.refused, other.refused)):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number


def draw_cases(seed: int, group: int, variants: int) -> Iterator[Case]:
    """Draw the cases of a group, which run on one RTL build; seed and group say which.

    The first is drawn freely; the others have other values where fixed hardware takes its sizes from the weights, other weights too where
    the hardware takes any, and all have stimulus, stalls and initial values of their own.
    """
    # Not of the group's own draws: models of tokens are those that were drawn before there were others.
    features = bool(np.random.default_rng([seed, group, 1]).random() < FEATURE_SHARE)
    rng = np.random.default_rng([seed, group])
    trainable = bool(rng.random() < 0.5)
    model = _draw_feature_model(rng, trainable=trainable) if features else draw_model(rng, trainable=trainable)
    hardware = _draw_hardware(rng, model)
    if hardware.weights == "fixed" and np.random.default_rng([seed, group, 2]).random() < SINGLE_PORT_SHARE:  # nor is this, likewise
        hardware = hardware.model_copy(update={"weights": "single-port"})
    for variant in range(variants):
        loaded = None
        if variant:
            other = redraw_values(rng, model, trainable=trainable)
            if not hardware.weights_may_change:
                model = other
            else:
                other = redraw_weights(rng, other)
                if _fits(other, model, hardware):
                    if hardware.weights == "loadable":
                        loaded = other
                    else:
                        model = other
        yield Case(
            model=model,
            hardware=hardware,
            sequences=_draw_sequences(rng, model),
            loaded=loaded,
            input_pace=_draw_pace(rng),
            output_pace=_draw_pace(rng),
            seed=int(rng.integers(1, 1 << 31)),
        )


def save(case: Case, finding: Finding | None, folder: Path, *, force: bool = False) -> None:
    """Write all that a replay needs.

    Args:
        case: The case.
        finding: What it showed, if anything.
        folder: Where to; it must not hold anything unless ``force``.
        force: Replace what is there.
    """
    about = {
        "format": "egru-fuzz-case",
        "version": 1,
        "sequences": case.sequences,
        "input_pace": case.input_pace.value,
        "output_pace": case.output_pace.value,
        "seed": case.seed,
        "found": None if finding is None else f"{finding.oracle}: {finding.message}",
    }
    with staged_folder(folder, force=force) as staging:
        (staging / CASE_FILE).write_text(json.dumps(about, indent=1) + "\n")
        (staging / HARDWARE_FILE).write_text(case.hardware.model_dump_json(indent=1) + "\n")
        case.model.save(staging / MODEL_FOLDER)
        if case.loaded is not None:
            case.loaded.save(staging / LOADED_FOLDER)
        (staging / "README.md").write_text(_readme(case, finding))


class _CaseFile(StrictModel):
    format: Literal["egru-fuzz-case"]
    version: Literal[1]
    sequences: tuple[tuple[int, ...] | tuple[tuple[int, ...], ...], ...] = Field(min_length=1)
    input_pace: Pace
    output_pace: Pace
    seed: int = Field(ge=1)
    found: str | None


def load(folder: Path) -> Case:
    """Read what `save` wrote.

    Raises:
        UserError: When a file is missing or altered.
    """
    remedy = "give a folder that egru fuzz saved"
    folder = Path(folder)
    read = validate(read_json(folder / CASE_FILE, "case file", remedy), _CaseFile, str(folder / CASE_FILE))
    hardware = validate(read_json(folder / HARDWARE_FILE, "case file", remedy), HardwareConfig, str(folder / HARDWARE_FILE))
    model = QuantizedModel.load(folder / MODEL_FOLDER)
    loaded = QuantizedModel.load(folder / LOADED_FOLDER) if (folder / LOADED_FOLDER).exists() else None
    cell, top = ((model.channels,), model.formats.event_max) if model.channels else ((), model.tokens - 1)
    for sequence in read.sequences:
        shape = (len(sequence), *cell)
        if not sequence or any(np.shape(step) != cell for step in sequence) or not 0 <= np.min(sequence) <= np.max(sequence) <= top:
            raise UserError(
                f"a sequence of {len(sequence)} steps in {folder}", f"is empty, not of shape {shape}, or leaves 0 to {top}", remedy
            )
    return Case(model, hardware, read.sequences, loaded, read.input_pace, read.output_pace, read.seed)


def check(case: Case, backends: Sequence[Backend], scratch: Path) -> tuple[Counts, Finding | None]:
    """Compare everything that a case can be with the reference, until something differs.

    Args:
        case: The case.
        backends: Hardware to compare, beside the forms of the model in software.
        scratch: Empty folder for what is generated and for the runs.

    Returns:
        What was compared, and the first finding if there is one.
    """
    counts = Counts()
    steps = list(_reference(case))
    oracles: tuple[Oracle, ...] = ("batched", "fake-quantised", *(ORACLE_OF[backend] for backend in backends))
    finding = next(filter(None, (check_oracle(case, oracle, scratch, counts) for oracle in oracles)), None)
    if finding or any(backend.value in counts.compared for backend in backends):
        counts.configurations, counts.steps = 1, case.steps
        counts.events = sum(int(fired.sum()) for step in steps for fired in step.fired)
        counts.saturations = _saturations(case, steps)
    return counts, finding


def check_oracle(case: Case, oracle: Oracle, scratch: Path, counts: Counts) -> Finding | None:
    """Compare one oracle with the reference; ``counts`` is added to."""
    try:
        with _time_limit(CHECK_SECONDS):
            if oracle == "batched":
                return _check_batched(case, counts)
            if oracle == "fake-quantised":
                return _check_fake_quantised(case, counts)
            return _check_hardware(case, Backend(oracle), scratch, counts)
    except _TimeUpError:
        return Finding(oracle, "hang", f"did not end in {CHECK_SECONDS:.0f} s")
    except Exception as error:  # whatever the product raises on a legal case is what is looked for
        return Finding(oracle, "error", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _draw_feature_model(rng: np.random.Generator, *, trainable: bool) -> QuantizedModel:
    """Draw a model of features whose events a word of the input stream can hold."""
    while True:
        model = draw_model(rng, trainable=trainable, features=True)
        try:
            plan(model, HardwareConfig(lanes=1))
        except UserError:
            continue
        return model


def _draw_hardware(rng: np.random.Generator, model: QuantizedModel) -> HardwareConfig:
    """Draw a configuration that ``model`` fits.

    The counters are not drawn narrower than 32 bits: a narrower one may rightly overflow, and would then differ.
    """
    for last in [False] * 20 + [True]:
        engines = "shared" if len(model.layers) > 1 and rng.random() < 0.35 and not (last and model.channels) else "per-layer"
        rows = [layer.neurons for layer in model.layers]
        rows = [*([min(rows)] if engines == "shared" else rows), model.classes]
        lanes = [int(rng.integers(1, min(count, MOST_LANES) + 1)) for count in rows]
        weights = "fixed" if last else str(rng.choice(["fixed", "swappable", "loadable"], p=[0.6, 0.15, 0.25]))
        capacity = int(rng.integers(16, 1200)) if weights != "fixed" and rng.random() < 0.4 else None
        config = HardwareConfig.model_validate(
            {
                "engines": engines,
                "lanes": min(lanes) if rng.random() < 0.2 else tuple(lanes),
                "queue_depth": _draw_depth(rng, 6, 64),
                "event_queue_depth": _draw_depth(rng, 8, 64),
                "lanes_per_update_unit": int(rng.integers(1, 17)),
                "packing": str(rng.choice(["load", "interleaved"])),
                "entry_format": str(rng.choice(["single", "gate-group"])),
                "stream_depth": _draw_depth(rng, 2, 64),
                "counter_bits": int(rng.integers(32, 65)),
                "weights": weights,
                "weight_capacity": capacity,
            }
        )
        try:
            plan(model, config)
        except UserError:
            continue
        return config
    raise AssertionError("a model with fixed weights fits any number of lanes that it has rows for")


def _draw_depth(rng: np.random.Generator, low: int, high: int) -> int:
    """Draw a depth, most of the time close to the least: there streams stall."""
    return int(rng.integers(low, high + 1)) if rng.random() < 0.2 else int(rng.integers(low, low + 5))


def _draw_sequences(rng: np.random.Generator, model: QuantizedModel) -> tuple[tuple[Any, ...], ...]:
    """Draw tokens or input events; every fourth sequence has a single step."""
    count = int(rng.integers(1, MOST_SEQUENCES + 1))
    lengths = np.where(rng.random(count) < 0.25, 1, rng.integers(1, MOST_STEPS + 1, count))
    if model.channels:
        return tuple(tuple(map(tuple, draw_events(rng, model, (int(length),)).tolist())) for length in lengths)
    return tuple(tuple(rng.integers(0, model.tokens, length).tolist()) for length in lengths)


def _draw_pace(rng: np.random.Generator) -> Pace:
    """Draw a pace; the slow one seldom, because it takes most of a run's time."""
    return Pace(str(rng.choice([pace.value for pace in Pace], p=[0.4, 0.22, 0.15, 0.18, 0.05])))


def _fits(other: QuantizedModel, model: QuantizedModel, hardware: HardwareConfig) -> bool:
    """Say whether hardware for ``model`` takes ``other``."""
    if model.tokens < 2 and hardware.weights == "loadable":
        return False  # before a load the bench streams tokens 0 and 1
    try:
        generate_for(other, rtl_backend.describe(model, rtl_backend.generate(model, hardware)))
    except UserError:
        return False
    return True


def _reference(case: Case) -> Iterator[Step]:
    stream = EventDrivenStream(case.compared)
    for sequence in case.sequences:
        for inputs in sequence:
            yield stream.step(np.asarray(inputs) if case.model.channels else inputs)
        stream.reset()


def _check_batched(case: Case, counts: Counts) -> Finding | None:
    batched = BatchedReference(case.compared)
    found = chain.from_iterable(batched.run(np.array([sequence], np.int64)) for sequence in case.sequences)
    counts.compared["batched"] = 1
    for number, (mine, wanted) in enumerate(zip(found, _reference(case), strict=True)):
        for what, values, others in (
            ("events", mine.events, wanted.events),
            ("event flags", mine.fired, wanted.fired),
            ("logits", (mine.logits,), (wanted.logits,)),
        ):
            for layer, (value, other) in enumerate(zip(values, others, strict=True)):
                if not np.array_equal(value[0], other):
                    message = f"step {number}: {what} of layer {layer} are {value[0].tolist()}, expected {other.tolist()}"
                    return Finding("batched", "mismatch", message, number)
    return None


def _check_fake_quantised(case: Case, counts: Counts) -> Finding | None:
    # torch is slow to import, and many cases are of no network.
    from sw_model.equivalence import compare_with_reference
    from sw_model.export import export_network
    from sw_model.import_network import import_network

    network = import_network(case.compared)
    if network is None:
        return None
    counts.compared["fake-quantised"] = 1
    exported = export_network(network, feature_input=case.compared.feature_input, readout=case.compared.readout)
    if exported.content_hash() != case.compared.content_hash():
        return Finding("fake-quantised", "mismatch", "the exported network is another model")
    for number, sequence in enumerate(case.sequences):
        differ = compare_with_reference(network, np.array([sequence], np.int64), model=exported).mismatches
        if differ:
            before = sum(map(len, case.sequences[:number]))
            return Finding("fake-quantised", "mismatch", f"{differ} values of sequence {number} differ", before + len(sequence) - 1)
    return None


def _check_hardware(case: Case, backend: Backend, scratch: Path, counts: Counts) -> Finding | None:
    folder, run_dir = scratch / backend.value, scratch / f"{backend.value}-run"
    clocked = backend is Backend.RTL
    try:
        if clocked:
            rtl_backend.write(case.model, case.hardware, folder)
        else:
            generated = hls_backend.generate(case.model, case.hardware)
            folder.mkdir()
            hls_backend.write_core(case.model, generated, folder)
    except UserError:
        counts.refused[backend.value] = 1
        return None
    options: dict[str, Any] = {}
    if clocked:
        options = {"input_pace": case.input_pace, "output_pace": case.output_pace}
        if case.loaded is not None:
            case.loaded.save(scratch / LOADED_FOLDER)
            options["loaded"] = scratch / LOADED_FOLDER
    counts.compared[backend.value] = 1
    try:
        result = check_equivalence(folder, case.sequences, seed=case.seed, run_dir=run_dir, **options)
    except BenchError as error:
        return _hardware_finding(ORACLE_OF[backend], run_dir / "failure" / "case.json", error)
    counts.stalls += result.logit_stalls
    counts.builds += int(clocked and result.seconds["build"] > NO_BUILD_SECONDS)
    return None


def _hardware_finding(oracle: Oracle, saved: Path, error: BenchError) -> Finding:
    """Say what a failed simulation saved, or else what it said; its own folder goes away."""
    if not saved.is_file():
        return Finding(oracle, "error", " ".join(str(error).split()))
    at = json.loads(saved.read_text())
    where = f"step {at['step']}, layer {at['layer']}, neuron {at['neuron']}"
    return Finding(oracle, "mismatch", f"{where}: {at['what']} is {at['observed']}, expected {at['expected']}", at["step"])


def _saturations(case: Case, steps: Sequence[Step]) -> int:
    """Count pre-activation sums outside their format, and events at the largest value."""
    model, formats = case.compared, case.compared.formats
    (low, high), found = formats.preact_limits, 0
    starts = set(np.cumsum([0, *map(len, case.sequences)]).tolist())
    for index, layer in enumerate(model.layers):
        events = np.array([step.events[index] for step in steps])
        fresh = np.array([[number not in starts] for number in range(len(steps))])
        sums = [np.einsum("gij,tj->tgi", layer.recurrent_weight.astype(np.int64), np.roll(events, 1, axis=0) * fresh)]
        if index or model.channels:
            arriving = np.array([step.events[index - 1] for step in steps] if index else list(chain.from_iterable(case.sequences)))
            inputs = np.einsum("gij,tj->tgi", layer.input_weight.astype(np.int64), arriving)
            # z and r are sums over both; the two parts of g are clamped apart
            sums = [(inputs + sums[0])[:, :2], inputs[:, 2], sums[0][:, 2]]
        for values in sums:
            scaled = rescale(values, layer.weight_frac + formats.event_bits, formats.preact_frac)
            found += int(np.count_nonzero((scaled < low) | (scaled > high)))
        found += int(np.count_nonzero(events == formats.event_max))
    return found


def _readme(case: Case, finding: Finding | None) -> str:
    layers = ", ".join(str(layer.neurons) for layer in case.model.layers)
    found = "nothing" if finding is None else f"{finding.oracle} ({finding.kind}): {finding.message}"
    return f"""# A case of the fuzzer

Found: {found}

{case.steps} steps, neurons per layer: {layers}. Replay, in this folder:

```
egru fuzz --replay .
```

`{MODEL_FOLDER}/` is the model, `{HARDWARE_FILE}` the configuration, `{CASE_FILE}` stimulus, stalls and seed;
`{LOADED_FOLDER}/`, where it exists, the model that is loaded before the stimulus and compared.
"""


class _TimeUpError(Exception):
    """Not an OSError or RuntimeError, as TimeoutError is: those are caught on the way, where a build fails."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Break off what the main thread does after ``seconds``; programs that it waits for are killed."""
    if threading.current_thread() is not threading.main_thread():  # only there signals arrive
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise _TimeUpError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
