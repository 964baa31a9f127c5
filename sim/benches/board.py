"""A board's top, with the PLL's model, through the pins of its serial line: answers, logits and registers equal the reference.

The launcher gives the generated folder, the names of the pins and the clocks of a bit as JSON.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Timer

from hls_gen.registers import SOFT_RESET, Register
from sim.drivers import CLOCK_PERIOD_NS
from sim.link_frames import MAX_WORDS_READ, RESYNC, Kind, read_payload, read_words, step_answers, step_payload, write_payload
from sim.link_host import LinkHost
from sim.runner import bench_seed, write_report
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import EventDrivenStream

SETUP_FILE = "setup.json"
STEPS = 40
RESETS = 3
PATIENCE = 1000  # clock cycles; the full batch under way takes longer


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def steps_through_the_pins_equal_the_reference(dut: Any) -> None:
    """Sequences cut into batches at random; after the button or a soft reset in their midst the state is that of the start."""
    setup = json.loads(Path(SETUP_FILE).read_text())
    model = QuantizedModel.load(setup["model"])
    rng = random.Random(bench_seed())
    clock, button = getattr(dut, setup["clock"]), getattr(dut, setup["reset"])
    clock.value, button.value = 0, 0
    await Timer(1, "ns")
    button.value = 1  # an edge, so that registers behind other registers are reset too
    await Timer(1, "ns")
    Clock(clock, CLOCK_PERIOD_NS, "ns").start()
    host = LinkHost(getattr(dut, setup["rx"]), getattr(dut, setup["tx"]), setup["clocks_per_bit"] * CLOCK_PERIOD_NS)
    await _press(clock, button, 5)

    max_tokens = await _greet(host)
    for _ in range(RESETS):
        batch = [(rng.randrange(model.tokens), False) for _ in range(max_tokens)]
        await host.send(host.request(Kind.STEP, step_payload(batch)))
        replied = len(host.received)
        await ClockCycles(clock, rng.randint(1, PATIENCE))
        assert len(host.received) == replied, "the steps were over before the button was pressed"
        await _press(clock, button, rng.randint(1, 5))
        await _greet(host)
        await _check_steps(host, EventDrivenStream(model), batch[: rng.randint(1, 4)])
    await _press(clock, button, 1)
    await _greet(host)
    stream, answers, sequences = EventDrivenStream(model), 0, 0
    tokens = [(rng.randrange(model.tokens), rng.random() < 0.1) for _ in range(STEPS)]
    # In the middle, and within a sequence: what was carried over is gone.
    tokens[STEPS // 2 - 1] = (tokens[STEPS // 2 - 1][0], False)
    for half in (tokens[: STEPS // 2], tokens[STEPS // 2 :]):
        reply = await host.ask(Kind.WRITE, write_payload(Register.CONTROL, [SOFT_RESET]))
        assert reply.kind == Kind.WRITE
        stream.reset()
        while half:
            batch, half = half[: (size := rng.randint(1, max_tokens))], half[size:]
            logits = await _check_steps(host, stream, batch)
            answers += len(batch)
            sequences += sum(last for _, last in batch)
            reply = await host.ask(Kind.LOGITS, read_payload(0, min(model.classes, MAX_WORDS_READ)))
            assert read_words(reply.payload, signed=True) == logits[:MAX_WORDS_READ]
    reply = await host.ask(Kind.READ, read_payload(Register.STEPS, 1))
    assert read_words(reply.payload) == [STEPS]
    reply = await host.ask(Kind.READ, read_payload(Register.MODEL_HASH, 8))
    assert reply.payload[::-1].hex() == model.content_hash()
    write_report({"answers": answers, "sequences": sequences})


async def _press(clock: Any, button: Any, cycles: int) -> None:
    button.value = 1
    await ClockCycles(clock, cycles)
    button.value = 0
    await ClockCycles(clock, 5)


async def _greet(host: LinkHost) -> int:
    """Begin a session; return the most tokens of a STEP."""
    await host.sender.send(RESYNC)
    return (await host.ask(Kind.HELLO)).payload[0]


async def _check_steps(host: LinkHost, stream: EventDrivenStream, batch: Sequence[tuple[int, bool]]) -> list[int]:
    """Compare the answers to a STEP with the reference; return the last step's logits."""
    reply = await host.ask(Kind.STEP, step_payload(batch))
    logits, expected = [], []
    for token, last in batch:
        logits = [int(logit) for logit in stream.step(token).logits]
        expected.append((logits.index(max(logits)), max(logits)))
        if last:
            stream.reset()
    assert (reply.kind, step_answers(reply.payload)) == (Kind.STEP, expected)
    return logits
