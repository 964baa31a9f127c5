"""egru_uart_bridge: every request is executed once and answered, whatever happens on the line; words are counted at the core.

With ``ValueBits`` the words are those of a feature stream, of which only some end a step; otherwise they are tokens.
"""

import math
import random
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteSlave

from sim.drivers import CLOCK_PERIOD_NS, Link, Pace, StreamSink, StreamSource, pauses, reset, start, wait_until
from sim.link_frames import (
    HAS_LOGITS,
    MAX_WORDS_READ,
    MAX_WORDS_WRITTEN,
    RESYNC,
    VERSION,
    ErrorCode,
    Frame,
    Kind,
    Sync,
    encode_frame,
    read_payload,
    read_words,
    step_answers,
    step_payload,
    write_payload,
)
from sim.link_host import LinkHost
from sim.runner import bench_seed, write_report

REFUSED_FROM = 0xF80  # the register model answers with an error from here on
LAST_WORD = 0xFFC


class Registers:
    """The target of the AXI4-Lite model: keeps every write; refuses the last addresses."""

    def __init__(self) -> None:
        self.content: dict[int, bytes] = {}
        self.writes: list[tuple[int, int]] = []
        self.reads = 0

    async def write(self, address: int, data: bytes) -> None:
        """Keep a write; an exception becomes an error response."""
        if address >= REFUSED_FROM:
            raise IndexError(address)
        self.writes.append((address, int.from_bytes(data, "little")))
        self.content[address] = bytes(data)

    async def read(self, address: int, length: int) -> bytes:
        """Return what was written last, else zeros; an exception becomes an error response."""
        if address >= REFUSED_FROM:
            raise IndexError(address)
        self.reads += 1
        return self.content.get(address, bytes(length))


class Core:
    """Takes words and, unless it is held, gives random logits for each that ends a step.

    Attributes:
        words: What was taken: word and whether it was the last of its sequence.
        logits: Of every step, in their order.
        held: While it is true no step begins to be answered.
        sink: Takes the words when they have to wait; None when they never do.
    """

    def __init__(self, dut: Any, pace: Pace, rng: random.Random) -> None:
        self.words: list[tuple[int, bool]] = []
        self.logits: list[list[int]] = []
        self.held = False
        self._steps: list[bool] = []  # whether each was the last of its sequence
        self._given = 0
        self._rng = rng
        self._value_mask = (1 << int(dut.ValueBits.value)) - 1
        self._classes = int(dut.Classes.value)
        link = Link.of(dut, "m_axis_tvalid", "m_axis_tready", "m_axis_tdata", "m_axis_tlast")
        self.sink = None if pace is Pace.FULL else StreamSink(link, pace, rng, "words", self._take)
        if self.sink is None:
            cocotb.start_soon(self._take_at_once(link))
        self.source = StreamSource(Link.of(dut, "s_axis_tvalid", "s_axis_tready", "s_axis_tdata", "s_axis_tlast"), pace, rng)

    @property
    def answers(self) -> list[tuple[int, int]]:
        """Class and logit of every step's answer: the largest logit, of several the first."""
        return [(row.index(max(row)), max(row)) for row in self.logits]

    def give(self, *words: int, last: bool = False) -> None:
        """Give words that no step asked for; ``last`` marks the last one."""
        self.source.send(*((word & 0xFFFF_FFFF, int(last and place == len(words) - 1)) for place, word in enumerate(words)))

    async def _take_at_once(self, link: Link) -> None:
        """Take every word in its first cycle. Most cycles wait for the line: unlike a `StreamSink` it does nothing in them."""
        link.ready.value = 1
        while True:
            await RisingEdge(link.valid)
            await RisingEdge(link.clock)
            while link.valid.value == 1:
                if link.reset.value == 1:
                    self._take(tuple(int(handle.value) for handle in link.payload))
                await RisingEdge(link.clock)

    def _take(self, item: tuple[int, ...]) -> None:
        self.words.append((item[0], bool(item[1])))
        if item[0] & self._value_mask:
            return
        self._steps.append(bool(item[1]))
        # few different values: ties are as frequent as winners; far ones: the comparison is signed and of full width
        choices = self._rng.choice([[-(1 << 31), -1, 0, 5, (1 << 31) - 1], [-7, -6], [3, 3, 2], range(-(1 << 31), 1 << 31)])
        self.logits.append([self._rng.choice(choices) for _ in range(self._classes)])
        if not self.held:
            self.release()

    def release(self) -> None:
        """Hold no longer: answer all steps ended so far."""
        self.held = False
        for step in range(self._given, len(self._steps)):
            self.give(*self.logits[step], last=self._steps[step])
        self._given = len(self._steps)


class Bench:
    """Everything around the module."""

    def __init__(self, dut: Any, pace: Pace = Pace.FULL) -> None:
        self.dut = dut
        self.rng = random.Random(bench_seed())
        self.registers = Registers()
        self.core = Core(dut, pace, self.rng)
        self.host = LinkHost(dut.rx_i, dut.tx_o, int(dut.ClocksPerBit.value) * CLOCK_PERIOD_NS)
        self.errors = self.answered = 0
        self.max_words = int(dut.MaxTokens.value)
        self.value_bits = int(dut.ValueBits.value)
        self.classes = int(dut.Classes.value)
        self.has_logits = bool(int(dut.LogitStore.value))
        self._pace = pace

    async def start(self) -> None:
        """Reset the module and connect the register model."""
        dut = self.dut
        await start(dut, inputs=["m_axil_bvalid", "m_axil_rvalid"])
        slave = AxiLiteSlave(AxiLiteBus.from_prefix(dut, "m_axil"), dut.clk_i, dut.rst_ni, reset_active_level=False, target=self.registers)
        for part in (slave.write_if, slave.read_if):
            part.log.setLevel("ERROR")
        if self._pace is not Pace.FULL:
            write, read = slave.write_if, slave.read_if
            cocotb.start_soon(self._pause([write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel]))
        cocotb.start_soon(self._count_errors())
        cocotb.start_soon(self._count_answers())

    async def open(self) -> None:
        """Open a session."""
        await self.host.send(Frame(Kind.HELLO, 0))
        assert await self.host.reply() == Frame(Kind.HELLO, 0, bytes([self.max_words, HAS_LOGITS * self.has_logits, 0, 0]))

    async def step(self, count: int, ends: float = 0.5) -> None:
        """Execute a STEP with random words and check its answers; of words of a feature stream this share ends a step, rounded up."""
        done, answered = len(self.core.words), len(self.core.answers)
        words = [(self.rng.getrandbits(15), self.rng.random() < 0.3) for _ in range(count)]
        if self.value_bits:
            marked = self.rng.sample(range(count), math.ceil(ends * count))
            words = [(self._valued(word, place in marked), last) for place, (word, last) in enumerate(words)]
        reply = await self.host.ask(Kind.STEP, step_payload(words))
        assert self.core.words[done:] == words
        assert reply.kind == Kind.STEP
        assert step_answers(reply.payload) == self.core.answers[answered:]
        assert len(self.core.answers) - answered == (len(marked) if self.value_bits else count)

    def _valued(self, word: int, ends: bool) -> int:
        """Return a word with a value of 0 when it is to end a step, else with one of a single bit or any."""
        value = self.rng.choice([1 << self.rng.randrange(self.value_bits), self.rng.randrange(1, 1 << self.value_bits)])
        return word >> self.value_bits << self.value_bits | (0 if ends else value)

    async def refused(self, request: Frame, code: ErrorCode) -> None:
        """Send a request that must be refused with ``code``."""
        await self.host.send(request)
        expected = Frame(Kind.ERROR, request.sequence, bytes([code, request.kind]))
        reply = await self.host.reply()
        assert reply == expected, f"{request} was answered with {reply}"

    def work(self) -> tuple[int, int, int]:
        """Return the words taken, written and read so far: a request that is not executed changes none of them."""
        return len(self.core.words), len(self.registers.writes), self.registers.reads

    async def _pause(self, channels: list[Any]) -> None:
        """Let channels pause, each at its own times; one task for all, because it runs in every cycle."""
        paces = [pauses(self._pace, self.rng) for _ in channels]
        while True:
            for channel, pace in zip(channels, paces, strict=True):
                channel.pause = next(pace)
            await RisingEdge(self.dut.clk_i)

    async def _count_errors(self) -> None:
        while True:
            await RisingEdge(self.dut.error_o)
            self.errors += 1

    async def _count_answers(self) -> None:
        while True:
            await RisingEdge(self.dut.answer_o)
            self.answered += 1


def changed(data: bytes, place: int, change: Callable[[int], bytes]) -> bytes:
    """Return ``data`` with the byte at ``place`` replaced."""
    return data[:place] + change(data[place]) + data[place + 1 :]


@cocotb.test(timeout_time=40, timeout_unit="ms")
@cocotb.parametrize(pace=[Pace.FULL, Pace.HEAVY, Pace.BURSTS])
async def every_kind_is_executed_in_order(dut: Any, pace: Pace) -> None:
    """Random requests of all kinds, under back-pressure of core and registers."""
    bench = Bench(dut, pace)
    await bench.start()
    await bench.open()
    rng, host = bench.rng, bench.host
    writes: list[tuple[int, int]] = []
    kinds = [Kind.STEP, Kind.READ, Kind.WRITE, Kind.FILL, Kind.LOGITS] * 5
    rng.shuffle(kinds)
    for kind in kinds:
        address = 4 * rng.randrange(0x300)
        if kind == Kind.STEP:
            await bench.step(rng.choice([1, min(2, bench.max_words), bench.max_words]))
        elif kind == Kind.READ:
            count = rng.choice([1, 2, 7])
            reply = await host.ask(kind, read_payload(address, count))
            known = [bench.registers.content.get(address + 4 * place, bytes(4)) for place in range(count)]
            assert (reply.kind, reply.payload) == (kind, b"".join(known))
        elif kind in (Kind.WRITE, Kind.FILL):
            words = [rng.getrandbits(32) for _ in range(rng.choice([1, 2, 7]))]
            reply = await host.ask(kind, write_payload(address, words))
            assert (reply.kind, reply.payload) == (kind, b"")
            writes += [(address + (4 * place if kind == Kind.WRITE else 0), word) for place, word in enumerate(words)]
            assert bench.registers.writes == writes
        elif bench.has_logits and bench.core.logits:
            first = rng.randrange(bench.classes)
            count = rng.randint(1, min(MAX_WORDS_READ, bench.classes - first))
            reply = await host.ask(kind, read_payload(first, count))
            assert reply.kind == kind
            assert read_words(reply.payload, signed=True) == bench.core.logits[-1][first : first + count]
    assert bench.errors == 0
    assert bench.answered == len(bench.core.answers) > 0
    assert bench.core.sink is None or bench.core.sink.monitor.stalls > 0
    counts = {"words": len(bench.core.words), "answers": bench.answered, "writes": len(writes)}
    write_report({f"{what} {pace.value}": count for what, count in counts.items()})


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def the_longest_requests_and_replies(dut: Any) -> None:
    """63 words read, 62 written, a full STEP with the longest and the shortest reply, all logits."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    words = [bench.rng.getrandbits(32) for _ in range(MAX_WORDS_WRITTEN)]
    assert (await bench.host.ask(Kind.WRITE, write_payload(0x100, words))).kind == Kind.WRITE
    assert bench.registers.writes == [(0x100 + 4 * place, word) for place, word in enumerate(words)]
    reply = await bench.host.ask(Kind.READ, read_payload(0x100, MAX_WORDS_READ))
    assert read_words(reply.payload) == [*words, 0]
    await bench.step(bench.max_words, ends=1.0)
    if bench.value_bits:
        await bench.step(bench.max_words, ends=0.0)
    assert (await bench.host.ask(Kind.FILL, write_payload(0x200, words))).kind == Kind.FILL
    assert bench.registers.writes[MAX_WORDS_WRITTEN:] == [(0x200, word) for word in words]
    found: list[int] = []
    while bench.has_logits and len(found) < bench.classes:
        reply = await bench.host.ask(Kind.LOGITS, read_payload(len(found), min(MAX_WORDS_READ, bench.classes - len(found))))
        assert reply.kind == Kind.LOGITS
        found += read_words(reply.payload, signed=True)
    assert found == (bench.core.logits[-1] if bench.has_logits else [])


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def a_step_pipelines(dut: Any) -> None:
    """All words of a STEP are taken while no answer has come; the answers follow."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    bench.core.held = True
    task = cocotb.start_soon(bench.step(bench.max_words))
    await wait_until(dut, lambda: len(bench.core.words) == bench.max_words, "all words")
    await bench.host.silence()
    bench.core.release()
    await task


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def what_cannot_be_executed_is_refused_by_its_code(dut: Any) -> None:
    """Every error code, at the edges of every rule; nothing is executed but what came before a refused access."""
    bench = Bench(dut)
    await bench.start()
    host = bench.host
    for kind in (Kind.STEP, Kind.LOGITS, 9):
        await bench.refused(host.request(kind, bytes(2)), ErrorCode.NO_SESSION)
    await bench.refused(Frame(Kind.HELLO, 0, b"x"), ErrorCode.BAD_LENGTH)
    await bench.refused(host.request(Kind.STEP, bytes(2)), ErrorCode.NO_SESSION)
    await bench.open()
    for version in (0, VERSION + 1, 15):
        for number in (Kind.HELLO, Kind.STEP, 7):
            await bench.refused(Frame(number, 1, bytes(2), version), ErrorCode.OTHER_VERSION)
    for number in (6, 8, 14, 15):
        await bench.refused(host.request(number, bytes(255 if number == 14 else 0)), ErrorCode.UNKNOWN_KIND)
    bad_lengths = [
        (Kind.HELLO, (1,)),
        (Kind.STEP, (0, 1, 3, 2 * bench.max_words + 1, 2 * bench.max_words + 2)),
        (Kind.READ, (0, 2, 4)),
        (Kind.WRITE, (0, 1, 2, 3, 5, 7, 251, 254, 255)),
        (Kind.FILL, (0, 2, 4, 8)),
        *([(Kind.LOGITS, (0, 2, 4))] if bench.has_logits else []),
    ]
    for kind, lengths in bad_lengths:
        for length in lengths:
            await bench.refused(host.request(kind, bytes(length)), ErrorCode.BAD_LENGTH)
    for count in (0, 64, 128, 255):
        await bench.refused(host.request(Kind.READ, read_payload(0, count)), ErrorCode.BAD_LENGTH)
    for address in (0x1000, 0x2000, 0x8000, REFUSED_FROM):
        await bench.refused(host.request(Kind.READ, read_payload(address, 1)), ErrorCode.ACCESS_REFUSED)
        await bench.refused(host.request(Kind.WRITE, write_payload(address, [1])), ErrorCode.ACCESS_REFUSED)
        await bench.refused(host.request(Kind.FILL, write_payload(address, [1, 2])), ErrorCode.ACCESS_REFUSED)
    assert bench.work() == (0, 0, 0)
    await bench.refused(host.request(Kind.READ, read_payload(REFUSED_FROM - 8, 4)), ErrorCode.ACCESS_REFUSED)
    await bench.refused(host.request(Kind.WRITE, write_payload(REFUSED_FROM - 8, [7, 8, 9, 10])), ErrorCode.ACCESS_REFUSED)
    assert bench.work() == (0, 2, 2)
    if bench.has_logits:
        for first, count in ((bench.classes, 1), (0xFFFF, 1), (bench.classes - 1, 2), (1 << 15, 1)):
            await bench.refused(host.request(Kind.LOGITS, read_payload(first, count)), ErrorCode.NOT_AVAILABLE)
        await bench.refused(host.request(Kind.LOGITS, read_payload(0, 64)), ErrorCode.BAD_LENGTH)
    else:
        await bench.refused(host.request(Kind.LOGITS, read_payload(0, 1)), ErrorCode.NOT_AVAILABLE)
    await bench.step(1)
    assert bench.errors == 0


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def a_flipped_bit_anywhere_is_noticed(dut: Any) -> None:
    """In every byte of a frame: silence, no execution, a pulse of `error_o`; the same frame sent whole is executed."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    request = bench.host.request(Kind.STEP, step_payload([(3, False), (9, True)]))
    good = encode_frame(Sync.REQUEST, request)
    for place in range(len(good)):
        bit = bench.rng.randrange(8)
        before = bench.errors
        await bench.host.sender.send(changed(good, place, lambda byte, bit=bit: bytes([byte ^ 1 << bit])))  # type: ignore[misc]
        await bench.host.silence()
        if place == 3:  # the length: the frame lasts until zeros have filled it
            await bench.host.sender.send(RESYNC)
        await ClockCycles(dut.clk_i, 20)
        assert bench.errors - before == (place != 0), f"byte {place}"
        assert bench.work() == (0, 0, 0)
    await bench.host.send(request)
    assert (await bench.host.reply()).kind == Kind.STEP
    assert bench.core.words == [(3, False), (9, True)]


@cocotb.test(timeout_time=80, timeout_unit="ms")
@cocotb.parametrize(fault=["dropped", "doubled", "broken"])
async def a_damaged_frame_is_executed_after_resynchronisation(dut: Any, fault: str) -> None:
    """A byte missing, twice there, or with a low stop bit, at every second place: zeros and the same frame again, executed once."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    sender = bench.host.sender
    tokens = []
    for place in range(bench.rng.randrange(2), 12, 2):
        tokens.append((bench.rng.getrandbits(15), False))
        request = bench.host.request(Kind.STEP, step_payload(tokens[-1:]))
        good = encode_frame(Sync.REQUEST, request)
        place %= len(good)
        if fault == "broken":
            await sender.send(good[:place])
            before = bench.errors
            await sender.send(good[place : place + 1], stop_bit=0)
            await sender.idle(3)
            assert bench.errors - before == 1  # the byte and the frame it was in, at once
            await sender.send(good[place + 1 :])
        else:
            await sender.send(changed(good, place, lambda byte: bytes(0 if fault == "dropped" else [byte, byte])))
        if fault == "doubled" and place == len(good) - 1:  # the frame was whole: it is executed, now and not again
            assert step_answers((await bench.host.reply()).payload) == bench.core.answers[-1:]
        else:
            await bench.host.silence()
            assert len(bench.core.words) == len(tokens) - 1
            await sender.send(RESYNC)
        await bench.host.send(request)
        assert step_answers((await bench.host.reply()).payload) == bench.core.answers[-1:]
        assert bench.core.words == tokens
    assert len(tokens) == 6


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def a_repeated_request_is_answered_again_and_not_executed(dut: Any) -> None:
    """For every kind, and for an error, the second and third reply are the first, byte for byte; a new session executes anew."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    host, end = bench.host, 3 << bench.value_bits
    requests = [
        host.request(Kind.STEP, step_payload([(1, False), (end, True)][: bench.max_words])),
        host.request(Kind.WRITE, write_payload(0x20, [1, 2, 3])),
        host.request(Kind.FILL, write_payload(0x30, [4, 5])),
        host.request(Kind.READ, read_payload(0x20, 4)),
        host.request(Kind.LOGITS, read_payload(0, 1)),
        host.request(Kind.STEP, b""),
        host.request(Kind.WRITE, write_payload(REFUSED_FROM - 4, [1, 2])),
        Frame(Kind.STEP, 255, step_payload([(5, False)])),
        Frame(Kind.STEP, 0, step_payload([(end, False)])),
    ]
    for request in requests:
        start_of_reply, before = len(host.received), bench.work()
        await host.send(request)
        await host.reply()
        once, work = bytes(host.received[start_of_reply:]), bench.work()
        if request.payload and request.kind != Kind.LOGITS:
            assert work != before
        for _ in range(2):
            bench.registers.content[0x20] = bench.rng.randbytes(4)  # a READ that is executed again would show it
            start_of_reply = len(host.received)
            await host.send(request)
            await host.reply()
            assert bytes(host.received[start_of_reply:]) == once
            assert bench.work() == work
    # The sequence number of the session before is forgotten.
    await bench.open()
    await host.send(requests[-1])
    await host.reply()
    assert bench.core.words[-2:] == [(end, False)] * 2
    assert bench.errors == 0


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def a_damaged_frame_in_between_spoils_no_stored_reply(dut: Any) -> None:
    """The longest frame with a wrong CRC, then the last request again: the stored reply."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    await bench.host.ask(Kind.WRITE, write_payload(0x40, [bench.rng.getrandbits(32) for _ in range(MAX_WORDS_WRITTEN)]))
    request = bench.host.request(Kind.READ, read_payload(0x40, MAX_WORDS_READ))
    await bench.host.send(request)
    reply = await bench.host.reply()
    broken = encode_frame(Sync.REQUEST, Frame(Kind.STEP, request.sequence, bench.rng.randbytes(255)))
    await bench.host.sender.send(changed(broken, len(broken) - 1, lambda byte: bytes([byte ^ 1])))
    await bench.host.silence()
    assert bench.errors == 1
    await bench.host.send(request)
    assert await bench.host.reply() == reply


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def a_reset_closes_the_session(dut: Any) -> None:
    """In the middle of a frame, and in the middle of a reply: the rest goes unheard, and no request is executed before HELLO."""
    bench = Bench(dut)
    await bench.start()
    for cut in (2, 9):
        await bench.open()
        done = len(bench.core.words)
        request = bench.host.request(Kind.STEP, step_payload([(4, False)]))
        frame = encode_frame(Sync.REQUEST, request)
        await bench.host.sender.send(frame[:cut])
        await reset(dut)
        await bench.host.sender.send(frame[cut:])
        await bench.host.silence()
        await bench.refused(request, ErrorCode.NO_SESSION)
        assert len(bench.core.words) == done
        await bench.open()
        await bench.step(1)
    # Within a byte: the first of the request, of the reply. What is left of either is no sync byte.
    for line in (dut.rx_i, dut.tx_o):
        request = bench.host.request(Kind.STEP, step_payload([(4, False)]))
        sending = cocotb.start_soon(bench.host.send(request))
        await wait_until(dut, lambda line=line: line.value == 0, "a start bit")  # type: ignore[misc]
        await ClockCycles(dut.clk_i, 3 * int(dut.ClocksPerBit.value))
        await reset(dut)
        await sending
        await bench.host.sender.idle(10)  # the host takes what is left for a byte
        await bench.host.silence()
        await bench.refused(request, ErrorCode.NO_SESSION)
        await bench.open()
        await bench.step(1)


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def the_line_is_ignored_while_a_request_is_executed(dut: Any) -> None:
    """A core that takes its time: the impatient host's repetition is not executed, and the reply comes when it comes."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    bench.core.held = True
    request = bench.host.request(Kind.STEP, step_payload([(8, True)]))
    await bench.host.send(request)
    for _ in range(3):
        await bench.host.send(request)
        await bench.host.send(bench.host.request(Kind.WRITE, write_payload(0, [1])))
    await bench.host.silence()
    bench.core.release()
    reply = await bench.host.reply()
    assert step_answers(reply.payload) == bench.core.answers
    assert bench.work() == (1, 0, 0)
    await bench.host.send(request)
    assert await bench.host.reply() == reply
    assert (bench.work(), bench.errors) == ((1, 0, 0), 0)


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def noise_before_a_frame(dut: Any) -> None:
    """Bytes that are no sync byte are passed over; what a false one swallowed ends with the zeros, however long it claims to be."""
    bench = Bench(dut)
    await bench.start()
    noise = bytes(byte for byte in bench.rng.randbytes(60) if byte != Sync.REQUEST)
    await bench.host.sender.send(noise)
    await bench.open()
    assert bench.errors == 0
    for claim in (b"", b"\x11", b"\x11\x00\xff", b"\xe5\xe5\xe5", bench.rng.randbytes(30)):
        await bench.host.sender.send(bytes([Sync.REQUEST]) + claim + RESYNC)
        await bench.step(1)
    assert bench.errors >= 4  # random bytes may hold no more than one
    assert len(bench.core.words) == 5


@cocotb.test(timeout_time=40, timeout_unit="ms")
async def words_of_a_lost_step_do_not_shift_the_next_answers(dut: Any) -> None:
    """What the core says between requests, for instance when it is reset, is thrown away."""
    bench = Bench(dut)
    await bench.start()
    await bench.open()
    for count in (1, bench.classes, bench.classes + 1):
        bench.core.give(*[(1 << 31) - 1] * count, last=True)
        await bench.core.source.drained()
        await bench.step(min(2, bench.max_words))
        if bench.has_logits:
            bench.core.give(0)
            await bench.core.source.drained()
            reply = await bench.host.ask(Kind.LOGITS, read_payload(0, min(5, bench.classes)))
            assert read_words(reply.payload, signed=True) == bench.core.logits[-1][:5]
