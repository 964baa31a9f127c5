"""egru_column_reader: for every event the entries of its column with its value, one operation a cycle, ends in their place."""

import os
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge

from sim.benches.lane_case import LaneCase, lane_case
from sim.drivers import Item, Link, Pace, StreamSource, start, wait_until
from sim.runner import BenchResult, bench_seed, run_bench

EVENTS = 500
PARAMETERS = ("Inputs", "Columns", "Entries", "CountBits", "IndexBits", "EventBits", "PointerFile", "EntryFile")


def launch(seed: int, *, decoder: bool) -> BenchResult:
    """Run the bench on a random lane."""
    case = lane_case(seed, decoder=decoder)
    parameters = {name: case.parameters[name] for name in PARAMETERS} | {"EntryBits": case.entry_bits}
    environment, bench = {"EGRU_DECODER": str(int(decoder))}, "sim.benches.column_reader"
    return run_bench("egru_column_reader", bench, parameters=parameters, files=case.files, seed=seed, extra_env=environment)


class OperationMonitor:
    """Records operations {is_end, recurrent, value, entry}; of an end only that it is one."""

    def __init__(self, dut: Any) -> None:
        """Start to watch."""
        self.operations: list[Item] = []
        self.cycles: list[int] = []
        self._dut = dut
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, cycle = self._dut, 0
        while True:
            await RisingEdge(dut.clk_i)
            cycle += 1
            weight, end = dut.op_valid_o.value == 1, dut.op_end_o.value == 1
            assert not (weight and end)
            if weight or end:
                assert dut.busy_o.value == 1
                self.cycles.append(cycle)
                fields = (dut.op_recurrent_o, dut.op_value_o, dut.op_entry_o)
                self.operations.append((1, 0, 0, 0) if end else (0, *(int(handle.value) for handle in fields)))


@cocotb.test()
@cocotb.parametrize(idle=list(Pace))
async def walks_every_column(dut: Any, idle: Pace) -> None:
    """Random events and ends; every column comes up, and one is empty."""
    rng, case = random.Random(bench_seed()), _case()
    items = [_random_item(rng, case) for _ in range(EVENTS)]
    monitor, expected = await _play(dut, rng, case, items, idle)
    assert monitor.operations == expected
    walked = {_column(case, item) for item in items if not item[0]}
    assert walked == set(range(case.plan.columns))
    assert any(case.columns.count[column] == 0 for column in walked)
    assert sum(item[0] for item in items) > 20


@cocotb.test()
async def leaves_no_gap(dut: Any) -> None:
    """While events wait, every cycle gives an operation: columns of one entry follow at once, an empty one hides behind its neighbours."""
    rng, case = random.Random(bench_seed()), _case()
    count = case.columns.count
    empty, single, longer = np.flatnonzero(count == 0), np.flatnonzero(count == 1), np.flatnonzero(count > 1)
    assert len(empty)
    assert len(longer)
    pairs = [_item(rng, case, int(rng.choice(columns))) for _ in range(50) for columns in (longer, empty)]
    singles = [_item(rng, case, int(rng.choice(single))) for _ in range(100) if len(single)]
    items = [*pairs, *singles]
    monitor, expected = await _play(dut, rng, case, items, Pace.FULL)
    assert monitor.operations == expected
    assert monitor.cycles[-1] - monitor.cycles[0] + 1 == len(expected)


async def _play(dut: Any, rng: random.Random, case: LaneCase, items: list[Item], idle: Pace) -> tuple[OperationMonitor, list[Item]]:
    """Send ``items`` and wait until the module is at rest; return what came out and what should have."""
    source = StreamSource(Link.of(dut, "valid_i", "ready_o", "end_i", "recurrent_i", "index_i", "value_i"), idle, rng)
    await start(dut, inputs=["valid_i"])
    monitor = OperationMonitor(dut)
    source.send(*items)
    await source.drained()
    await wait_until(dut, lambda: dut.busy_o.value == 0, "the end of the walk")
    expected: list[Item] = []
    for item in items:
        is_end, recurrent, _, value = item
        if is_end:
            expected.append((1, 0, 0, 0))
            continue
        column = _column(case, item)
        first = int(case.columns.start[column])
        expected += [(0, recurrent, value, word) for word in case.entries[first : first + int(case.columns.count[column])]]
    return monitor, expected


def _case() -> LaneCase:
    return lane_case(bench_seed(), decoder=os.environ["EGRU_DECODER"] == "1")


def _column(case: LaneCase, item: Item) -> int:
    return item[2] + (case.plan.inputs if item[1] else 0)


def _item(rng: random.Random, case: LaneCase, column: int) -> Item:
    recurrent = int(column >= case.plan.inputs)
    return (0, recurrent, column - recurrent * case.plan.inputs, rng.getrandbits(int(case.parameters["EventBits"])))


def _random_item(rng: random.Random, case: LaneCase) -> Item:
    item = _item(rng, case, rng.randrange(case.plan.columns))
    # the index and value of an end item mean nothing
    return (1, *item[1:]) if rng.random() < 0.08 else item
