"""egru_lane: its sums equal the integer product of the uncompressed weights with the events, step after step."""

import os
import random
from functools import partial
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from sim.benches.lane_case import LaneCase, lane_case
from sim.drivers import Item, Link, Pace, StreamMonitor, StreamSource, start, to_signed, wait_until
from sim.read_port import read_all
from sim.runner import BenchResult, bench_seed, failure_folder, run_bench, write_report
from sim.scoreboard import Scoreboard

STEPS = 40
END: Item = (1, 0, 0, 0)


def launch(seed: int, *, decoder: bool) -> BenchResult:
    """Run the bench on a random lane."""
    case = lane_case(seed, decoder=decoder)
    environment = {"EGRU_DECODER": str(int(decoder))}
    parameters = case.parameters | {"QueueDepth": 4}
    return run_bench("egru_lane", "sim.benches.lane", parameters=parameters, files=case.files, seed=seed, extra_env=environment)


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
    rng, case = random.Random(bench_seed()), lane_case(bench_seed(), decoder=os.environ["EGRU_DECODER"] == "1")
    link = Link.of(dut, "event_valid_i", "event_ready_o", "event_end_i", "event_recurrent_i", "event_index_i", "event_value_i")
    source, monitor = StreamSource(link, idle, rng), StreamMonitor(link, "events")
    await start(dut, inputs=["event_valid_i", "rd_valid_i", "rd_advance_i", "rd_addr_i"])
    work = WorkMonitor(dut)
    await wait_until(dut, lambda: dut.ready_o.value == 1, "clear memories")
    steps = [_events(rng, case, number) for number in range(STEPS)]
    scoreboard = Scoreboard(failure_folder(), bench_seed(), tensors={"weights": case.weights})
    source.send(*_items(case, steps[0], rng), END)
    for number, events in enumerate(steps):
        await wait_until(dut, partial(work.has_done, number + 1), f"the end of step {number}")
        # The next step's events come while this one is read; its end must wait for the reader: that is the contract of the two banks.
        following = steps[number + 1 : number + 2]
        for later in following:
            source.send(*_items(case, later, rng))
        words = await read_all(dut, range(case.plan.packing.rows * case.plan.fields), reading, rng)
        found = [to_signed(word, int(case.parameters["AccBits"])) for word in words]
        values = np.zeros(case.plan.columns, np.int64)
        for column, value in events:
            values[column] = value
        scoreboard.check(number, case.plan.name, "sum", found, case.sums(values).reshape(-1))
        source.send(*[END for _ in following])
    stored = np.count_nonzero(case.weights, axis=(0, 1))
    assert work.macs == sum(int(stored[column]) for events in steps for column, _ in events)
    assert work.done == STEPS
    assert work.working > work.macs > 500
    assert idle is not Pace.FULL or monitor.stalls > 5
    write_report(scoreboard.report() | {"macs": work.macs})


def _events(rng: random.Random, case: LaneCase, number: int) -> list[tuple[int, int]]:
    """Draw the events {physical column, value} of a step: all of them, none, or some."""
    share = {0: 1.0, 1: 0.0, 2: 1.0}.get(number, rng.choice([0.0, 0.1, 0.3, 0.8]))
    top = (1 << int(case.parameters["EventBits"])) - 1
    # values at both ends; a value of 0 is an event too
    return [(column, rng.choice([0, 1, top, rng.randint(0, top)])) for column in range(case.plan.columns) if rng.random() < share]


def _items(case: LaneCase, events: list[tuple[int, int]], rng: random.Random) -> list[Item]:
    """Return the items {end, recurrent, index, value} in random order."""
    inputs = case.plan.inputs
    items: list[Item] = [(0, int(column >= inputs), column - (inputs if column >= inputs else 0), value) for column, value in events]
    rng.shuffle(items)
    return items
