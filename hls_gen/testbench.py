"""A testbench that needs nothing but a SystemVerilog simulator; stimulus and the integer reference's answers are memory files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hls_gen.hardware_config import HardwarePlan
from hls_gen.registers import COUNTERS, DEVICE_ID, DEVICE_VERSION, HASH_WORDS, Register, counters_address
from hls_gen.render import render
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import EventDrivenStream, Step

TESTBENCH_FOLDER = "tb"
TESTBENCH_MODULE = "egru_tb"
TOKENS_FILE, LOGITS_FILE, REGISTERS_FILE = VECTOR_FILES = ("tokens.mem", "logits.mem", "registers.mem")
#: What the testbench shows where nobody says otherwise.
STEPS, SEQUENCES = 48, 2
#: Cycles of a step that do not depend on the weights: hand-shakes, the update of every row, refused logits.
BASE_PATIENCE = 100_000


@dataclass(frozen=True)
class Stimulus:
    """What the testbench shows the core.

    Attributes:
        sequences: Tokens of each sequence, none empty; the state starts at zero in each.
        title: What the tokens are, for people.
    """

    sequences: tuple[tuple[int, ...], ...]
    title: str


def random_stimulus(model: QuantizedModel) -> Stimulus:
    """Return tokens that depend on nothing but their number."""
    tokens = np.random.default_rng(1).integers(model.tokens, size=STEPS)
    return Stimulus(tuple(tuple(map(int, part)) for part in np.array_split(tokens, SEQUENCES)), "random tokens")


def testbench_files(model: QuantizedModel, hardware: HardwarePlan, stimulus: Stimulus) -> dict[str, str]:
    """Return the testbench, file name to text; all names are relative to `TESTBENCH_FOLDER`."""
    steps, stream = _run(model, stimulus.sequences)
    registers = _registers(model, hardware, stream)
    lasts = [place == len(sequence) - 1 for sequence in stimulus.sequences for place in range(len(sequence))]
    tokens = [token for sequence in stimulus.sequences for token in sequence]
    logits = [
        f"{int(last and place == model.classes - 1) << 32 | int(logit) & 0xFFFF_FFFF:09x}\n"
        for step, last in zip(steps, lasts, strict=True)
        for place, logit in enumerate(step.logits)
    ]
    text = render(
        f"project/{TESTBENCH_MODULE}.sv.j2",
        model_hash=model.content_hash(),
        tokens=len(tokens),
        sequences=len(stimulus.sequences),
        logits=len(logits),
        classes=model.classes,
        registers=len(registers),
        patience=BASE_PATIENCE + 4 * _stored_weights(model),
        own_events_offset=_counter("own_events", 0) - counters_address(0),
    )
    return {
        f"{TESTBENCH_MODULE}.sv": text,
        TOKENS_FILE: "".join(f"{int(last) << 16 | token:05x}\n" for token, last in zip(tokens, lasts, strict=True)),
        LOGITS_FILE: "".join(logits),
        REGISTERS_FILE: "".join(f"{address:04x}{value:08x}\n" for address, value in registers),
    }


def _run(model: QuantizedModel, sequences: Sequence[Sequence[int]]) -> tuple[list[Step], EventDrivenStream]:
    stream, steps = EventDrivenStream(model), []
    for sequence in sequences:
        steps += [stream.step(token) for token in sequence]
        stream.reset()
    return steps, stream


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
        (int(Register.TOKENS), model.tokens),
        (int(Register.CLASSES), model.classes),
    ]
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
