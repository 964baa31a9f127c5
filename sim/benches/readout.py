"""egru_readout: every logit is sum plus bias, exact, in class order, with the ends of steps and sequences marked."""

import random
from collections import deque
from dataclasses import dataclass
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from hls_gen.memory_image import MemoryImage, unsigned
from sim.drivers import Link, Pace, StreamSink, start, to_signed, to_unsigned, wait_until
from sim.read_port import READ_CYCLES
from sim.runner import BenchResult, bench_seed, failure_folder, run_bench
from sim.scoreboard import Scoreboard
from sw_model.fixed_point import signed_limits

STEPS = 30
ACC_BITS = 19


@dataclass(frozen=True)
class ReadoutCase:
    """Where each class lies and its bias.

    Attributes:
        lane: Lane of each class.
        row: Its row.
        bias: int64, shape (classes,).
    """

    lane: list[int]
    row: list[int]
    bias: np.ndarray


def readout_case(lanes: int, rows: int, classes: int, seed: int) -> ReadoutCase:
    """Deal the classes to random slots; some biases are the largest that fit."""
    rng = random.Random(seed)
    slots = rng.sample(range(lanes * rows), classes)
    low, high = signed_limits(ACC_BITS)
    bias = [rng.choice([low, high, 0, rng.randint(low, high)]) for _ in range(classes)]
    return ReadoutCase([slot // rows for slot in slots], [slot % rows for slot in slots], np.array(bias, np.int64))


def launch(lanes: int, rows: int, classes: int, seed: int) -> BenchResult:
    """Run the bench on random places and biases."""
    case = readout_case(lanes, rows, classes, seed)
    row_bits = max(1, (rows - 1).bit_length())
    words = tuple(lane << row_bits | row for lane, row in zip(case.lane, case.row, strict=True))
    order = MemoryImage("order", row_bits + max(1, (lanes - 1).bit_length()), words)
    bias = MemoryImage("bias", ACC_BITS, tuple(unsigned(case.bias, ACC_BITS)))
    return run_bench(
        "egru_readout",
        "sim.benches.readout",
        parameters={"Lanes": lanes, "Rows": rows, "Classes": classes, "AccBits": ACC_BITS, "OrderFile": order.name, "BiasFile": bias.name},
        files=order.files() | bias.files(),
        seed=seed,
    )


class Lanes:
    """The lanes' side: pulses of lane_done_i, and a word READ_CYCLES after its address; other lanes answer 0.

    Attributes:
        sums: Of each lane, by row.
        emptied: The addresses with which all lanes were read, for both banks.
        reads: Sums read since the bench set it to 0.
    """

    def __init__(self, dut: Any, rng: random.Random) -> None:
        """Start to answer."""
        self.sums: list[list[int]] = []
        self.emptied: list[int] = []
        self.finished = True
        self.reads = 0
        self._dut, self._rng = dut, rng
        self._lanes, self._bits = int(dut.Lanes.value), int(dut.AccBits.value)
        cocotb.start_soon(self._answer())

    async def finish(self) -> None:
        """Pulse every lane's done once, in random order, some together."""
        self.finished = False
        left = list(range(self._lanes))
        self._rng.shuffle(left)
        while left:
            for _ in range(self._rng.choice([0, 0, 1, 7])):
                await RisingEdge(self._dut.clk_i)
            self.finished = len(left) == 1
            self._dut.lane_done_i.value = 1 << left.pop()
            await RisingEdge(self._dut.clk_i)
            self._dut.lane_done_i.value = 0

    async def _answer(self) -> None:
        dut = self._dut
        answers = deque([0] * (READ_CYCLES - 1))
        while True:
            await RisingEdge(dut.clk_i)
            dut.rd_data_i.value = answers.popleft()
            answers.append(self._read() if dut.rst_ni.value == 1 else 0)

    def _read(self) -> int:
        """Return the answer to what is asked in this cycle."""
        dut, valid = self._dut, int(self._dut.rd_valid_o.value)
        if dut.rd_both_o.value == 1:
            assert valid == (1 << self._lanes) - 1
            self.emptied.append(int(dut.rd_addr_o.value))
            return 0
        if not valid:
            return 0
        assert valid & (valid - 1) == 0, "two lanes read at once"
        assert self.finished, "a sum was read before its lane had finished"
        lane = valid.bit_length() - 1
        self.reads += 1
        return to_unsigned(self.sums[lane][int(dut.rd_addr_o.value)], self._bits) << (self._bits * lane)


@cocotb.test()
@cocotb.parametrize(back_pressure=[Pace.FULL, Pace.LIGHT, Pace.HEAVY, Pace.BURSTS])
async def logits_are_exact(dut: Any, back_pressure: Pace) -> None:
    """Random sums; those with a large bias go up to the ends of the accumulator."""
    rng = random.Random(bench_seed())
    lanes, rows, classes = (int(getattr(dut, name).value) for name in ("Lanes", "Rows", "Classes"))
    case = readout_case(lanes, rows, classes, bench_seed())
    port = Lanes(dut, rng)
    await start(dut, inputs=["step_i", "last_i", "lane_done_i", "rd_data_i", "ready_i"])
    await wait_until(dut, lambda: dut.ready_o.value == 1, "both banks emptied")
    assert port.emptied == list(range(rows))
    sink = StreamSink(Link.of(dut, "valid_o", "ready_i", "logit_o", "step_last_o", "last_o"), back_pressure, rng, "logits")
    scoreboard = Scoreboard(failure_folder(), bench_seed(), tensors={"bias": case.bias})
    lasts = [rng.random() < 0.3 for _ in range(STEPS)]
    extremes = stalls = 0
    for step, last in enumerate(lasts):
        expected = _logits(rng, classes)
        port.sums = [[rng.getrandbits(ACC_BITS - 1) for _ in range(rows)] for _ in range(lanes)]
        for number in range(classes):
            port.sums[case.lane[number]][case.row[number]] = int(expected[number] - case.bias[number])
        extremes += int(np.isin(expected, signed_limits(ACC_BITS)).sum())
        sink.monitor.clear()
        port.reads = 0
        assert dut.done_o.value == 1
        dut.step_i.value, dut.last_i.value = 1, int(last)
        await RisingEdge(dut.clk_i)
        dut.step_i.value, dut.last_i.value = 0, rng.getrandbits(1)
        await port.finish()
        await wait_until(dut, lambda: dut.done_o.value == 1, f"the end of step {step}")
        scoreboard.check_logits(step, [to_signed(word, 32) for word, _, _ in sink.items], expected)
        ends = [(step_last, sequence_last) for _, step_last, sequence_last in sink.items]
        assert ends == [(0, 0)] * (classes - 1) + [(1, int(last))]
        assert port.reads == classes
        stalls += sink.monitor.stalls
        if back_pressure is Pace.FULL:
            assert sink.monitor.cycles[-1] - sink.monitor.cycles[0] == classes - 1, "one logit a cycle"
    assert port.emptied == list(range(rows))
    assert scoreboard.values == STEPS * classes
    assert extremes > 10
    assert back_pressure is Pace.FULL or stalls > 50
    assert 0 < sum(lasts) < STEPS


def _logits(rng: random.Random, classes: int) -> np.ndarray:
    low, high = signed_limits(ACC_BITS)
    return np.array([rng.choice([low, high, rng.randint(low, high)]) for _ in range(classes)], np.int64)
