"""egru_row_reader: in every pass each row of the active layers once, in order, with its four sums; after reset all rows, for both banks."""

import random
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from sim.drivers import Pace, pauses, start, wait_until
from sim.runner import bench_seed

PASSES = 40
FIELDS = 4


class Turns:
    """Plays the update unit: offers turns and records what is done with them.

    Attributes:
        taken: (cycle, row) of each row begun.
        reads: (cycle, address) of each read; while both banks are emptied the address is marked by -1 - address.
        refused: Turns not taken.
    """

    def __init__(self, dut: Any, period: int, pace: Pace, rng: random.Random) -> None:
        """Start to offer a turn every ``period`` cycles, but for those that ``pace`` leaves out."""
        self.taken: list[tuple[int, int]] = []
        self.reads: list[tuple[int, int]] = []
        self.refused = 0
        self._dut, self._period, self._pauses = dut, period, pauses(pace, rng)
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, cycle = self._dut, 0
        while True:
            # take_o answers in the cycle of the turn
            await FallingEdge(dut.clk_i)
            dut.turn_i.value = int(cycle % self._period == 0 and not next(self._pauses))
            await RisingEdge(dut.clk_i)
            cycle += 1
            if dut.rst_ni.value != 1:
                continue
            if dut.take_o.value == 1:
                assert dut.turn_i.value == 1
                self.taken.append((cycle, int(dut.row_o.value)))
            else:
                self.refused += dut.turn_i.value == 1
            if dut.rd_valid_o.value == 1:
                address = int(dut.rd_addr_o.value)
                self.reads.append((cycle, -1 - address if dut.rd_both_o.value == 1 else address))


@cocotb.test()
@cocotb.parametrize(period=[4, 7, 1], pace=[Pace.FULL, Pace.HEAVY, Pace.BURSTS])
async def reads_every_row(dut: Any, period: int, pace: Pace) -> None:
    """Many passes, each with other layers active; turns come with idle cycles, before the sums are ready and after the last row."""
    rng = random.Random(bench_seed())
    rows, layers = int(dut.Rows.value), int(dut.Layers.value)
    ends = [int(dut.RowEnds.value) >> 16 * layer & 0xFFFF for layer in range(layers)] if layers > 1 else [rows]
    assert ends[-1] == rows
    turns = Turns(dut, period, pace, rng)
    await start(dut, inputs=["step_i", "active_i", "done_i", "turn_i"])
    await wait_until(dut, lambda: dut.idle_o.value == 1, "both banks emptied")
    assert [address for _, address in turns.reads] == [-1 - address for address in range(FIELDS * rows)]
    assert turns.taken == []
    refused_early = turns.refused
    passed_over = 0
    for number in range(PASSES):
        active = (1 << layers) - 1 if layers == 1 or number == 0 else rng.getrandbits(layers)
        turns.reads.clear()
        turns.taken.clear()
        await _run_pass(dut, active, turns, rng)
        starts = [0, *ends[:-1]]
        expected = [row for layer in range(layers) if active >> layer & 1 for row in range(starts[layer], ends[layer])]
        passed_over += rows - len(expected)
        assert [row for _, row in turns.taken] == expected, f"pass {number}, active {active:b}"
        addresses = [(cycle + field, FIELDS * row + field) for cycle, row in turns.taken for field in range(FIELDS)]
        assert turns.reads == addresses, "a row's sums are read in its turn and the next three cycles, and at no other time"
        if period in (1, 4) and pace is Pace.FULL and layers == 1:
            assert turns.taken[-1][0] - turns.taken[0][0] == FIELDS * (rows - 1)
    assert refused_early + turns.refused > 15
    assert layers == 1 or passed_over > 3 * rows


async def _run_pass(dut: Any, active: int, turns: Turns, rng: random.Random) -> None:
    """Begin a step, finish the lane's sums some time later, and wait for the end of the pass."""
    assert dut.idle_o.value == 1
    dut.step_i.value, dut.active_i.value = 1, rng.getrandbits(len(dut.active_i))
    await RisingEdge(dut.clk_i)
    # The sequencer's active_o follows the step.
    dut.step_i.value, dut.active_i.value = 0, active
    for _ in range(rng.choice([1, 2, 3, 20])):
        await RisingEdge(dut.clk_i)
        assert not turns.taken, "a row was begun before its sums were ready"
        assert dut.idle_o.value == 0
    dut.done_i.value = 1
    await RisingEdge(dut.clk_i)
    dut.done_i.value = 0
    await wait_until(dut, lambda: dut.idle_o.value == 1, "the end of the pass")
    for _ in range(rng.randint(0, 5)):
        await RisingEdge(dut.clk_i)
