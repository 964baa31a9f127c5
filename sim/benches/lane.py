"""egru_lane: its sums equal the integer product of the uncompressed weights with the events, step after step."""

import os
import random
from collections import deque
from functools import partial
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from sim.benches.lane_case import LaneCase, lane_case
from sim.drivers import Pace, pauses, start, to_signed, wait_until
from sim.read_port import empty_all, read_all
from sim.runner import BenchResult, bench_seed, failure_folder, run_bench, write_report
from sim.scoreboard import Scoreboard

STEPS = 40
# Items still come so many cycles after the lane says that it is nearly full: the registers of stall and bus, two of the directory.
LATE_CYCLES = 4
Event = tuple[int, int]  # physical column, value


def launch(name: str, queue_depth: int, seed: int) -> BenchResult:
    """Run the bench on a random lane in the configuration ``name``."""
    case = lane_case(name, seed)
    parameters = case.parameters | {"QueueDepth": queue_depth}
    return run_bench("egru_lane", "sim.benches.lane", parameters=parameters, files=case.files, seed=seed, extra_env={"EGRU_CASE": name})


class Items:
    """Plays bus and directory: when the lane says that it is nearly full, what is on its way still comes.

    Attributes:
        stalls: Cycles in which an item waited because the lane was nearly full.
        late: Items that came although it was.
    """

    def __init__(self, dut: Any, case: LaneCase, idle: Pace, rng: random.Random) -> None:
        """Start to drive."""
        self.stalls = self.late = 0
        self._left: deque[Event | None] = deque()  # None is the end of a step
        self._dut, self._case, self._pauses, self._rng = dut, case, pauses(idle, rng), rng
        cocotb.start_soon(self._run())

    def send(self, *events: Event | None) -> None:
        """Queue events; None is the end of a step."""
        self._left += events

    async def _run(self) -> None:
        dut = self._dut
        nearly_full = deque([False] * LATE_CYCLES, LATE_CYCLES)
        while True:
            await RisingEdge(dut.clk_i)
            nearly_full.append(dut.nearly_full_o.value == 1)
            self.stalls += nearly_full[0] and bool(self._left)
            send = bool(self._left) and not nearly_full[0] and not next(self._pauses)
            self.late += send and any(nearly_full)
            dut.item_valid_i.value = int(send)
            self._drive(self._left.popleft() if send else (self._rng.randrange(self._case.plan.columns), 0))

    def _drive(self, event: Event | None) -> None:
        dut, rng = self._dut, self._rng
        # place and value of an end mean nothing
        column, value = event or (rng.randrange(self._case.plan.columns), rng.getrandbits(len(dut.item_value_i)))
        dut.item_end_i.value, dut.item_value_i.value = int(event is None), value
        dut.item_before_i.value, dut.item_count_i.value = self._case.places[column]


class WorkMonitor:
    """Counts MACs and watches the pulses at the end of a step."""

    def __init__(self, dut: Any) -> None:
        """Start to watch."""
        self.macs = self.working = self.done = 0
        self._dut = dut
        cocotb.start_soon(self._run())

    def has_done(self, steps: int) -> bool:
        """Whether ``steps`` steps have ended."""
        return self.done >= steps

    async def _run(self) -> None:
        dut = self._dut
        while True:
            await RisingEdge(dut.clk_i)
            mac, working = dut.mac_o.value == 1, dut.working_o.value == 1
            assert working or not mac
            self.macs += mac
            self.working += working
            self.done += dut.done_o.value == 1


@cocotb.test()
@cocotb.parametrize(idle=[Pace.FULL, Pace.HEAVY, Pace.BURSTS], reading=[Pace.FULL, Pace.HEAVY])
async def sums_are_exact(dut: Any, idle: Pace, reading: Pace) -> None:
    """Steps of no, some and all events; the sums of a step are read while the events of the next one come in."""
    rng, case = random.Random(bench_seed()), lane_case(os.environ["EGRU_CASE"], bench_seed())
    await start(dut, inputs=["item_valid_i", "rd_both_i", "rd_valid_i", "rd_addr_i"])
    addresses = range(case.plan.rows << case.plan.field_bits)
    await empty_all(dut, addresses, rng)
    source, work = Items(dut, case, idle, rng), WorkMonitor(dut)
    steps = [_events(rng, case, number) for number in range(STEPS)]
    scoreboard = Scoreboard(failure_folder(), bench_seed(), tensors={"weights": case.weights})
    source.send(*steps[0], None)
    for number, events in enumerate(steps):
        await wait_until(dut, partial(work.has_done, number + 1), f"the end of step {number}")
        # The next step's events come while this one is read; its end must wait for the reader: that is the contract of the two banks.
        following = steps[number + 1 : number + 2]
        for later in following:
            source.send(*later)
        words = await read_all(dut, addresses, reading, rng)
        found = [to_signed(word, int(case.parameters["AccBits"])) for word in words]
        values = np.zeros(case.plan.columns, np.int64)
        for column, value in events:
            values[column] = value
        scoreboard.check(number, case.plan.name, "sum", found, case.sums(values).reshape(-1))
        source.send(*[None for _ in following])
    stored = np.count_nonzero(case.weights, axis=(0, 1))
    assert work.macs == sum(int(stored[column]) for events in steps for column, _ in events)
    assert work.done == STEPS
    assert work.working > work.macs > 500
    assert dut.working_o.value == 0, "it says that it works, but has nothing left to do"
    assert any(stored[column] == 0 for events in steps for column, _ in events), "an event without weights here"
    if idle is not Pace.HEAVY:
        assert source.stalls > 100
        assert source.late > 20
    write_report(scoreboard.report() | {"macs": work.macs})


def _events(rng: random.Random, case: LaneCase, number: int) -> list[Event]:
    """Draw the events of a step in random order: all of them, none, or some."""
    share = {0: 1.0, 1: 0.0, 2: 1.0}.get(number, rng.choice([0.0, 0.1, 0.3, 0.8]))
    top = (1 << int(case.parameters["EventBits"])) - 1
    columns = [column for column in range(case.plan.columns) if rng.random() < share]
    # values at both ends; a value of 0 is an event too
    return [(column, rng.choice([0, 1, top, rng.randint(0, top)])) for column in rng.sample(columns, len(columns))]
