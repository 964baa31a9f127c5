"""egru_axil_registers: every address, every access right, sticky bits, counters read consistently."""

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from hls_gen.memory_image import MemoryImage
from sim.drivers import wait_until
from sim.runner import BenchResult, Parameter, run_bench

PERIOD_NS = 10
CONTROL, STATUS, ERRORS, CYCLES, STEPS, IRQ_STATUS = 0x30, 0x34, 0x38, 0x40, 0x48, 0x58
LOAD_ADDRESS, LOAD_DATA = 0x64, 0x68
LOADABLE, SINGLE_PORT = 2, 3
COUNTABLE_BITS = 12  # of counters that can be run through all their values
_DRAWN = random.Random(1).choices(range(1 << 32), k=4)
HASH = (*_DRAWN, *(word ^ 0xFFFF_FFFF for word in _DRAWN))  # all different, and no bit is the same in all
COUNTERS, BLOCK_STRIDE = 0x100, 0x80
# cycles that a counter is selected before its value stands, and cycles from an address taken to its answer
COUNTER_WAIT, LATENCY, COUNTER_LATENCY = 16, 4, 18
PULSES = ("step_i", "sequence_end_i", "token_error_i")


def launch(blocks: int, counters: int, bits: int, weights: int) -> BenchResult:
    """Run the bench."""
    image = MemoryImage("hash", 32, HASH)
    parameters: dict[str, Parameter] = {"Blocks": blocks, "CountersPerBlock": counters, "CounterBits": bits, "Lanes": 7 * blocks}
    parameters |= {"Tokens": 1234, "Classes": 321, "Weights": weights, "HashFile": image.name}
    return run_bench("egru_axil_registers", "sim.benches.axil_registers", parameters=parameters, files=image.files())


class Bench:
    """The module with its bus master; ``stall``: the share of cycles in which a channel pauses."""

    def __init__(self, dut: Any, stall: float = 0.0) -> None:
        self.dut = dut
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.blocks, self.counters, self.bits = (int(dut[name].value) for name in ("Blocks", "CountersPerBlock", "CounterBits"))
        self.starts_empty = int(dut.Weights.value) == SINGLE_PORT
        self.loadable = int(dut.Weights.value) in (LOADABLE, SINGLE_PORT)
        self.stall = stall

    async def start(self) -> None:
        """Reset the module and connect the bus master."""
        dut = self.dut
        for name in ("busy_i", *PULSES, "counter_data_i"):
            dut[name].value = 0
        dut.rst_ni.value = 0
        Clock(dut.clk_i, PERIOD_NS, "ns").start()
        await ClockCycles(dut.clk_i, 3)
        dut.rst_ni.value = 1
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            if self.stall:  # it is asked in every cycle
                channel.set_pause_generator(self._pauses())

    def _pauses(self) -> Any:
        while True:
            yield self.rng.random() < self.stall

    async def read(self, address: int) -> int | None:
        """Return a register's value, None when the access is refused."""
        answer = await self.master.read(address, 4)
        if answer.resp == AxiResp.OKAY:
            return int.from_bytes(answer.data, "little")
        assert answer.resp == AxiResp.SLVERR
        assert answer.data == bytes(4)
        return None

    async def write(self, address: int, value: int, length: int = 4) -> bool:
        """Write the lowest ``length`` bytes at ``address``; return whether the access was accepted."""
        answer = await self.master.write(address, value.to_bytes(length, "little"))
        assert answer.resp in (AxiResp.OKAY, AxiResp.SLVERR)
        return bool(answer.resp == AxiResp.OKAY)

    async def read_hash(self) -> list[int | None]:
        """Return the words of the hash, the least significant first."""
        return [await self.read(0x10 + 4 * place) for place in range(8)]

    async def read_pair(self, address: int) -> int:
        """Read a 64-bit value, low word first."""
        low, high = await self.read(address), await self.read(address + 4)
        assert low is not None
        assert high is not None
        return high << 32 | low

    async def pulse(self, name: str) -> None:
        """Raise an input for one cycle."""
        self.dut[name].value = 1
        await RisingEdge(self.dut.clk_i)
        self.dut[name].value = 0

    def constants(self) -> dict[int, int]:
        """Return the registers that never change."""
        words = {0x10 + 4 * place: 0 if self.starts_empty else word for place, word in enumerate(HASH)}
        sizes = {0x50: self.blocks, 0x54: int(self.dut.Lanes.value), 0x5C: 1234, 0x60: 321}
        return words | sizes | {0x00: 0x45475255, 0x04: int(self.dut.Version.value)}

    def mapped(self) -> set[int]:
        """Return every address that answers."""
        plain = {CONTROL, STATUS, ERRORS, CYCLES, CYCLES + 4, STEPS, STEPS + 4, IRQ_STATUS, *self.constants()}
        counters = {
            COUNTERS + BLOCK_STRIDE * block + 8 * k + half for block in range(self.blocks) for k in range(self.counters) for half in (0, 4)
        }
        return plain | counters | ({LOAD_ADDRESS, LOAD_DATA} if self.loadable else set())


class CounterBlocks:
    """The counters behind the selection: in time as late as allowed, and another value until then.

    Attributes:
        values: Value of every counter, block by block.
    """

    def __init__(self, bench: Bench, values: list[int]) -> None:
        """Start to drive ``counter_data_i``."""
        self.values, self._bench = values, bench
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        bench, dut = self._bench, self._bench.dut
        selected, held = None, 0
        while True:
            await RisingEdge(dut.clk_i)
            now = int(dut.counter_block_o.value), int(dut.counter_index_o.value)
            selected, held = now, held + 1 if now == selected else 1
            in_range = selected[0] < bench.blocks and selected[1] < bench.counters
            value = self.values[selected[0] * bench.counters + selected[1]] if in_range else 0
            dut.counter_data_i.value = value if held >= COUNTER_WAIT else value ^ (1 << bench.bits) - 1


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.6])
async def every_address_answers_as_documented(dut: Any, stall: float) -> None:
    """Read all 1024 words: constants have their values, holes answer SLVERR; writing read-only registers changes nothing."""
    bench = Bench(dut, stall)
    await bench.start()
    constants, mapped = bench.constants(), bench.mapped()
    for address in range(0, 0x1000, 4):
        value = await bench.read(address)
        assert (value is not None) == (address in mapped), f"address 0x{address:03x}"
        if address in constants:
            assert value == constants[address], f"address 0x{address:03x}"
    for address in sorted(constants):
        assert await bench.write(address, 0xFFFFFFFF)
        assert await bench.read(address) == constants[address]
    for address in bench.rng.sample(range(0, 0x1000, 4), 64):
        assert await bench.write(address, 0) == (address in mapped), f"address 0x{address:03x}"
        byte = bench.rng.randrange(4)  # an access uses the word that holds its address
        assert (await bench.master.read(address + byte, 1)).resp == (AxiResp.OKAY if address in mapped else AxiResp.SLVERR)


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def unmapped_accesses_set_a_sticky_error(dut: Any) -> None:
    """Both directions set bit 1; writing 1 clears it, writing 0 or another byte does not."""
    bench = Bench(dut)
    await bench.start()
    for access in ("read", "write"):
        assert await bench.read(ERRORS) == 0
        if access == "read":
            assert await bench.read(0x3C) is None
        else:
            assert not await bench.write(0x3C, 1)
        assert await bench.read(ERRORS) == 2
        await bench.write(ERRORS, 1)
        await bench.write(ERRORS + 1, 0xFF, length=1)
        assert await bench.read(ERRORS) == 2
        await bench.write(ERRORS, 2)
        assert await bench.read(ERRORS) == 0


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_token_error_is_sticky_and_wins_over_its_clearing(dut: Any) -> None:
    """Bit 0 keeps a pulse; a pulse in the very cycle of the clearing write is not lost."""
    bench = Bench(dut)
    await bench.start()
    await bench.pulse("token_error_i")
    assert await bench.read(ERRORS) == 1
    await _clear_while_it_is_set(bench, ERRORS, "token_error_i")
    assert await bench.read(ERRORS) == 1
    await bench.write(ERRORS, 1)
    assert await bench.read(ERRORS) == 0


async def _clear_while_it_is_set(bench: Bench, address: int, name: str) -> None:
    """Hold an input high up to the cycle in which bit 0 of a register is cleared."""
    dut = bench.dut
    dut[name].value = 1
    clearing = cocotb.start_soon(bench.write(address, 1))
    while True:
        await FallingEdge(dut.clk_i)
        if dut.s_axil_awready.value == 1:
            break
    await RisingEdge(dut.clk_i)
    dut[name].value = 0
    await clearing


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def the_interrupt_follows_status_and_enable(dut: Any) -> None:
    """``irq_o`` is the sticky status, gated by the enable bit."""
    bench = Bench(dut)
    await bench.start()
    await bench.pulse("sequence_end_i")
    assert await bench.read(IRQ_STATUS) == 1
    assert dut.irq_o.value == 0
    await bench.write(CONTROL, 2)
    assert await bench.read(CONTROL) == 2
    assert dut.irq_o.value == 1
    await bench.write(CONTROL + 1, 0, length=1)
    assert dut.irq_o.value == 1, "a byte that was not strobed changed"
    await _clear_while_it_is_set(bench, IRQ_STATUS, "sequence_end_i")
    assert dut.irq_o.value == 1, "the end of a sequence was lost"
    await bench.write(IRQ_STATUS, 1)
    assert dut.irq_o.value == 0
    assert await bench.read(IRQ_STATUS) == 0


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def control_pulses_last_one_cycle(dut: Any) -> None:
    """Each pulse bit gives one cycle, reads back 0, and needs its strobe."""
    bench = Bench(dut)
    await bench.start()
    seen = {"soft_reset_o": 0, "counters_clear_o": 0}

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk_i)
            for name in seen:
                seen[name] += int(dut[name].value)

    cocotb.start_soon(watch())
    await bench.write(CONTROL, 1)
    assert await bench.read(CONTROL) == 0
    assert seen == {"soft_reset_o": 1, "counters_clear_o": 0}
    await bench.write(CONTROL, 4)
    assert await bench.read(CONTROL) == 0
    assert seen == {"soft_reset_o": 1, "counters_clear_o": 1}
    await bench.write(CONTROL + 2, 5, length=1)
    await ClockCycles(dut.clk_i, 5)
    assert seen == {"soft_reset_o": 1, "counters_clear_o": 1}


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def cycles_and_steps_are_counted_and_cleared(dut: Any) -> None:
    """Busy cycles and step pulses are counted one for one."""
    bench = Bench(dut)
    await bench.start()
    busy = steps = 0
    for _ in range(300):
        is_busy, is_step = bench.rng.getrandbits(1), int(bench.rng.random() < 0.1)
        dut.busy_i.value, dut.step_i.value = is_busy, is_step
        busy, steps = busy + is_busy, steps + is_step
        await RisingEdge(dut.clk_i)
    dut.busy_i.value = dut.step_i.value = 0
    assert await bench.read_pair(CYCLES) == busy
    assert await bench.read_pair(STEPS) == steps
    dut.busy_i.value = 1
    assert await bench.read(STATUS) == 1
    dut.busy_i.value = 0
    assert await bench.read(STATUS) == 0
    await bench.write(CONTROL, 4)
    assert (await bench.read_pair(CYCLES), await bench.read_pair(STEPS)) == (0, 0)
    # Cleared while they count: the next cycle is the first.
    dut.busy_i.value = dut.step_i.value = 1
    clearing = cocotb.start_soon(bench.write(CONTROL, 4))
    await wait_until(dut, lambda: dut.counters_clear_o.value == 1, "the pulse")
    await ClockCycles(dut.clk_i, 7)
    dut.busy_i.value = dut.step_i.value = 0
    await clearing
    assert (await bench.read_pair(CYCLES), await bench.read_pair(STEPS)) == (7, 7)


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def cycles_and_steps_begin_anew_after_their_last_value(dut: Any) -> None:
    """Every bit of both counters is seen at 0 and at 1, through their last value, and between values that differ in every second bit."""
    bench = Bench(dut)
    if bench.bits > COUNTABLE_BITS:
        return
    await bench.start()
    last = (1 << bench.bits) - 1
    cycles = steps = 0
    for upto, ahead in ((last // 3, last // 5), (2 * last // 3, last // 15), (last - last // 15, last // 15), (last + 3, last // 3)):
        steps += await _hold(dut, "step_i", upto + ahead - steps)
        cycles += await _hold(dut, "busy_i", upto - cycles)
        assert (await bench.read_pair(CYCLES), await bench.read_pair(STEPS)) == (cycles & last, steps & last)
    assert cycles > last


async def _hold(dut: Any, name: str, cycles: int) -> int:
    """Hold an input high for a number of cycles; return it."""
    await FallingEdge(dut.clk_i)
    dut[name].value = 1
    await Timer(cycles * PERIOD_NS, "ns")
    dut[name].value = 0
    return cycles


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(waited=[1, 3, 5])
async def a_reset_forgets_accesses(dut: Any, waited: int) -> None:
    """A write whose response waits, and a read under way, get no answer any more; the next ones do."""
    bench = Bench(dut, stall=1.0)
    await bench.start()
    await ClockCycles(dut.clk_i, 2)
    for name in ("aw", "w", "ar"):
        dut[f"s_axil_{name}valid"].value = 1
    await RisingEdge(dut.clk_i)
    dut.s_axil_awvalid.value = dut.s_axil_wvalid.value = 0
    await ClockCycles(dut.clk_i, waited)
    assert dut.s_axil_bvalid.value == 1
    assert dut.s_axil_rvalid.value == (waited > LATENCY)
    dut.rst_ni.value = dut.s_axil_arvalid.value = 0
    await ClockCycles(dut.clk_i, 2)
    dut.rst_ni.value = 1
    for _ in range(2 * COUNTER_LATENCY):
        assert (dut.s_axil_bvalid.value, dut.s_axil_rvalid.value) == (0, 0)
        await RisingEdge(dut.clk_i)
    bench.stall = 0.0
    assert await bench.write(CONTROL, 2)
    assert await bench.read(CONTROL) == 2


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def counters_are_read_where_they_stand_and_in_one_piece(dut: Any) -> None:
    """Every counter has its address, every bit its place; the high word belongs to the low word, even when the counter moves on."""
    bench = Bench(dut)
    await bench.start()
    count = bench.blocks * bench.counters
    values = [bench.rng.getrandbits(bench.bits) for _ in range(count)]
    blocks = CounterBlocks(bench, values)
    for place in bench.rng.sample(range(count), count):
        block, k = divmod(place, bench.counters)
        address = COUNTERS + BLOCK_STRIDE * block + 8 * k
        low = await bench.read(address)
        blocks.values = [value ^ (1 << bench.bits) - 1 for value in values]
        for _ in range(2):  # the copy stands until the next low word is read
            assert (low, await bench.read(address + 4)) == (values[place] & 0xFFFFFFFF, values[place] >> 32)
        assert await bench.read_pair(address) == blocks.values[place]
        blocks.values = values


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def reads_answer_in_the_documented_time(dut: Any) -> None:
    """The low word of a counter waits for its value; everything else does not."""
    bench = Bench(dut)
    await bench.start()
    for address in (0x00, CYCLES, 0x3C, COUNTERS, COUNTERS + 4, COUNTERS + 8 * bench.counters, COUNTERS):
        reading = cocotb.start_soon(bench.read(address))
        await wait_until(dut, lambda: dut.s_axil_arvalid.value == dut.s_axil_arready.value == 1, "the address")
        latency = 1 + await wait_until(dut, lambda: dut.s_axil_rvalid.value == 1, "the answer")
        await reading
        is_counter = address >= COUNTERS and address % 8 == 0
        assert latency == (COUNTER_LATENCY if is_counter else LATENCY), f"address 0x{address:03x}"


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def reads_and_writes_run_side_by_side(dut: Any) -> None:
    """Many accesses under way at once, with pauses on every channel, answer in their order."""
    bench = Bench(dut, 0.5)
    await bench.start()
    constants = bench.constants()
    addresses = bench.rng.choices(sorted(constants), k=200)
    reads = [bench.master.init_read(address, 4) for address in addresses]
    writes = [bench.master.init_write(CONTROL, (2 * (number % 2)).to_bytes(4, "little")) for number in range(200)]
    for address, access in zip(addresses, reads, strict=True):
        await access.wait()
        assert int.from_bytes(access.data.data, "little") == constants[address]
    for access in writes:
        await access.wait()
        assert access.data.resp == AxiResp.OKAY
    assert await bench.read(CONTROL) == 2


@cocotb.test(timeout_time=4, timeout_unit="ms")
@cocotb.parametrize(stall=[0.0, 0.6])
async def loads_go_out_word_by_word(dut: Any, stall: float) -> None:
    """Parts of words follow each other from the address on; the bus is silent otherwise, and always when weights are not loaded."""
    bench = Bench(dut, stall)
    await bench.start()
    found: list[int] = []

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk_i)
            if int(dut.load_o.value) >> 61:
                found.append(int(dut.load_o.value))

    cocotb.start_soon(watch())
    if not bench.loadable:
        assert not await bench.write(LOAD_ADDRESS, 0)
        assert not await bench.write(LOAD_DATA, 1)
        assert found == []
        return
    wanted = []
    for parts in (1, 3, 16):
        memory, word = bench.rng.getrandbits(12) | 1, bench.rng.getrandbits(15)
        assert await bench.write(LOAD_ADDRESS, memory << 20 | parts - 1 << 16 | word)
        for number in range(3 * parts):
            data = bench.rng.getrandbits(32)
            assert await bench.write(LOAD_DATA, data)
            last = number % parts == parts - 1
            wanted.append((((2 | last) << 12 | memory) << 16 | word + number // parts) << 32 | data)
        assert await bench.read(LOAD_ADDRESS) == memory << 20 | parts - 1 << 16 | word + 3
        assert await bench.read(LOAD_DATA) == 0
    assert found == wanted
    assert await bench.read(ERRORS) == 0


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def the_hash_is_loaded_like_any_memory(dut: Any) -> None:
    """Memory number 0 is what the hash is read from."""
    bench = Bench(dut)
    if not bench.loadable or bench.starts_empty:
        return
    await bench.start()
    words = [bench.rng.getrandbits(32) for _ in HASH]
    assert await bench.write(LOAD_ADDRESS, 0)
    for word in words:
        assert await bench.write(LOAD_DATA, word)
    assert await bench.read_hash() == words


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_hash_shows_when_what_starts_empty_has_been_loaded(dut: Any) -> None:
    """It is 0 until memory 0 has been written, after every other memory, and after a reset; what is written there is of no concern."""
    bench = Bench(dut)
    if not bench.starts_empty:
        return
    await bench.start()

    for memory, words in ((5, [0] * 8), (0, HASH), (3, [0] * 8), (0, HASH)):
        assert await bench.write(LOAD_ADDRESS, memory << 20)
        for _ in words:
            assert await bench.write(LOAD_DATA, bench.rng.getrandbits(32))
        assert await bench.read_hash() == list(words)
    await bench.write(CONTROL, 1)
    assert await bench.read_hash() == list(HASH), "a reset of the core leaves the memories as they are"
    dut.rst_ni.value = 0
    await ClockCycles(dut.clk_i, 2)
    dut.rst_ni.value = 1
    assert await bench.read_hash() == [0] * 8


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def a_load_is_refused_while_busy_or_in_part(dut: Any) -> None:
    """It answers SLVERR, sets ERRORS[2] and does nothing."""
    bench = Bench(dut)
    if not bench.loadable:
        return
    await bench.start()
    assert await bench.write(LOAD_ADDRESS, 0x00500007)
    for busy, length in ((1, 4), (0, 2)):
        dut.busy_i.value = busy
        for address in (LOAD_ADDRESS, LOAD_DATA):
            assert not await bench.write(address, 0, length)
            assert await bench.read(ERRORS) == 4
            assert await bench.write(ERRORS, 4)
            assert await bench.read(ERRORS) == 0
        assert await bench.read(LOAD_ADDRESS) == 0x00500007
