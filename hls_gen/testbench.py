"""Testbenches that need nothing but a SystemVerilog simulator, or a C++ compiler: stimulus and the reference's answers are files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hls_gen.hardware_config import BlockPlan, HardwarePlan
from hls_gen.input_words import input_words
from hls_gen.registers import COUNTERS, DEVICE_ID, DEVICE_VERSION, HASH_WORDS, Register, counters_address
from hls_gen.render import render
from hls_gen.weight_image import RegisterWrite
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import draw_events
from sw_model.reference import EventDrivenStream, Step

TESTBENCH_FOLDER = "tb"
TESTBENCH_MODULE = "egru_tb"
TOKENS_FILE, LOGITS_FILE, REGISTERS_FILE = VECTOR_FILES = ("tokens.mem", "logits.mem", "registers.mem")
EVENTS_FILE = "events.mem"
LOADS_FILE = "loads.mem"
CPP_TESTBENCH = f"{TESTBENCH_MODULE}.cpp"
CPP_VECTOR_FILES = (TOKENS_FILE, EVENTS_FILE, LOGITS_FILE)
#: What the testbench in C++ finds at a physical index that no neuron has.
NO_NEURON = 0xFFFF_FFFF
#: What the testbench shows where nobody says otherwise.
STEPS, SEQUENCES = 48, 2
#: Cycles of a step that do not depend on the weights: hand-shakes, the update of every row, refused logits.
BASE_PATIENCE = 100_000
#: Cycles that the input stream idles at most before a word.
MOST_IDLES = 256


@dataclass(frozen=True)
class Stimulus:
    """What the testbench shows the core.

    Attributes:
        sequences: Of each its tokens, or the input events of its steps, shape (steps, channels); none empty. The state starts at zero in
            each.
        title: What they are, for people.
    """

    sequences: tuple[tuple[Any, ...], ...]
    title: str


def random_stimulus(model: QuantizedModel) -> Stimulus:
    """Return tokens, or input events, that depend on nothing but the number of symbols, or the channels and bits of an event."""
    rng = np.random.default_rng(1)
    inputs, what = (
        (draw_events(rng, model, (STEPS,)), "input events") if model.channels else (rng.integers(model.tokens, size=STEPS), "tokens")
    )
    return Stimulus(tuple(tuple(part.tolist()) for part in np.array_split(inputs, SEQUENCES)), f"random {what}")


def testbench_files(model: QuantizedModel, hardware: HardwarePlan, stimulus: Stimulus, loads: Sequence[RegisterWrite]) -> dict[str, str]:
    """Return the testbench in SystemVerilog, file name to text; all names are relative to `TESTBENCH_FOLDER`.

    Args:
        model: The model.
        hardware: Its hardware.
        stimulus: What the testbench shows.
        loads: What it writes before, where the hardware starts without weights.
    """
    writes = "".join(f"{write.address:04x}{word:08x}\n" for write in loads for word in write.words)
    run = _run(model, stimulus)
    registers = _registers(model, hardware, run.stream)
    text = render(
        f"project/{TESTBENCH_MODULE}.sv.j2",
        model_hash=model.content_hash(),
        words=len(run.words),
        word="word" if model.channels else "token",
        steps=len(run.steps),
        sequences=len(stimulus.sequences),
        logits=len(run.logits),
        classes=model.classes,
        registers=len(registers),
        loads=writes.count("\n"),
        patience=BASE_PATIENCE + 4 * _stored_weights(model) + MOST_IDLES * model.channels,
        own_events_offset=_counter("own_events", 0) - counters_address(0),
    )
    return {
        f"{TESTBENCH_MODULE}.sv": text,
        TOKENS_FILE: "".join(run.words),
        LOGITS_FILE: "".join(run.logits),
        REGISTERS_FILE: "".join(f"{address:04x}{value:08x}\n" for address, value in registers),
        **({LOADS_FILE: writes} if writes else {}),
    }


def cpp_testbench_files(model: QuantizedModel, hardware: HardwarePlan, stimulus: Stimulus) -> dict[str, str]:
    """Return the testbench in C++, file name to text; all names are relative to `TESTBENCH_FOLDER`.

    Args:
        model: The model.
        hardware: Its hardware, with an engine for each layer.
        stimulus: What the testbench shows.
    """
    run = _run(model, stimulus)
    events = [word for step in run.steps for word in _event_words(hardware, step)]
    text = render(
        "hls/tb.cpp.j2",
        model_hash=model.content_hash(),
        value_bits=model.formats.event_bits if model.channels else 0,
        steps=len(run.steps),
        words=len(run.words),
        sequences=len(stimulus.sequences),
        events=len(events),
        logits=len(run.logits),
        classes=model.classes,
        layers=[{"name": engine.name, "neurons": _neurons(engine)} for engine in hardware.engines],
    )
    return {CPP_TESTBENCH: text, TOKENS_FILE: "".join(run.words), EVENTS_FILE: "".join(events), LOGITS_FILE: "".join(run.logits)}


def event_order(engine: BlockPlan) -> np.ndarray:
    """Return the physical indices of a layer in the order in which HLS sends its events: unit by unit, row by row, lane by lane; int64."""
    places = np.arange(engine.slots).reshape(engine.update_units, -1, engine.rows)
    return places.transpose(0, 2, 1).ravel()


@dataclass(frozen=True)
class _Run:
    """What the reference did with a stimulus.

    Attributes:
        steps: What it did in each step.
        stream: With its counts.
        words: {TLAST, word[15:0]} of what is sent, as a line of hexadecimal: a token a step, or the words of `hls_gen.input_words`.
        logits: {TLAST, logit[31:0]} of each logit, step by step in class order, likewise.
    """

    steps: list[Step]
    stream: EventDrivenStream
    words: list[str]
    logits: list[str]


def _run(model: QuantizedModel, stimulus: Stimulus) -> _Run:
    run = _Run([], EventDrivenStream(model), [], [])
    for sequence in stimulus.sequences:
        words = input_words(model, sequence)
        run.words.extend(f"{int(place == len(words) - 1) << 16 | word:05x}\n" for place, word in enumerate(words))
        for place, inputs in enumerate(sequence):
            last = place == len(sequence) - 1
            run.steps.append(run.stream.step(np.asarray(inputs) if model.channels else inputs))
            logits = run.steps[-1].logits
            run.logits.extend(_beat(int(logit), last=last and index == model.classes - 1) for index, logit in enumerate(logits))
        run.stream.reset()
    return run


def _beat(data: int, *, last: bool) -> str:
    return f"{int(last) << 32 | data & 0xFFFF_FFFF:09x}\n"


def _event_words(hardware: HardwarePlan, step: Step) -> Iterator[str]:
    """Yield {TLAST, index[15:0], value[15:0]} of what the layers send in a step, layer after layer, each with the beat that ends it."""
    for engine, events, fired in zip(hardware.engines, step.events, step.fired, strict=True):
        value = np.full(engine.slots, -1)
        engine.scatter(engine.parts[0], np.where(fired, events, -1), value)
        yield from (_beat(int(index) << 16 | int(value[index]), last=False) for index in event_order(engine) if value[index] >= 0)
        yield _beat(0, last=True)


def _neurons(engine: BlockPlan) -> list[int]:
    """Return the neuron at each physical index of a layer; `NO_NEURON` at those that pad a lane."""
    part = engine.parts[0]
    neurons = np.full(engine.slots, NO_NEURON)
    engine.scatter(part, np.arange(len(part.packing.lane_of)), neurons)
    return [int(neuron) for neuron in neurons]


def _registers(model: QuantizedModel, hardware: HardwarePlan, stream: EventDrivenStream) -> list[tuple[int, int]]:
    """Return byte address and value of every register that the run determines, whatever the simulator's timing."""
    work = stream.counts
    digest = int(model.content_hash(), 16)
    registers = [
        (int(Register.ID), DEVICE_ID),
        (int(Register.VERSION), DEVICE_VERSION),
        *((Register.MODEL_HASH + 4 * word, digest >> (32 * word) & 0xFFFF_FFFF) for word in range(HASH_WORDS)),
        (int(Register.STATUS), 0),
        (int(Register.ERRORS), 0),
        *_wide(Register.STEPS, work.steps),
        (int(Register.BLOCKS), len(hardware.blocks)),
        (int(Register.LANES), hardware.lanes),
        (int(Register.TOKENS), model.tokens or model.channels),
        (int(Register.CLASSES), model.classes),
    ]
    if model.channels:
        registers += _wide(_counter("input_events", 0), work.input_events)
    for index, block in enumerate(hardware.blocks):
        macs = sum(work.macs[layer] for layer in block.layers) if block.layers else work.decoder_macs
        registers += _wide(_counter("own_events", index), sum(work.events[layer] for layer in block.layers))
        registers += _wide(_counter("macs", index), macs)
    return registers


def _counter(name: str, block: int) -> int:
    return counters_address(block) + 8 * COUNTERS.index(name)


def _wide(address: int, value: int) -> list[tuple[int, int]]:
    """Return the two words of a 64-bit register, the low one first: reading it takes the copy of the high one."""
    return [(int(address), value & 0xFFFF_FFFF), (int(address) + 4, value >> 32)]


def _stored_weights(model: QuantizedModel) -> int:
    matrices = [matrix for layer in model.layers for matrix in (layer.input_weight, layer.recurrent_weight)]
    return sum(int(np.count_nonzero(matrix)) for matrix in [*matrices, model.decoder.weight])
