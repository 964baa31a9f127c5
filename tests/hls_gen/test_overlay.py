"""The overlay class against a board that is not there: a fake pynq whose DMA and registers are driven by the integer reference."""

import ast
import asyncio
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hls_gen import rtl_backend
from hls_gen.board import load_board
from hls_gen.hardware_config import HardwareConfig
from hls_gen.input_words import input_words
from hls_gen.registers import BLOCK_BYTES, COUNTERS, DEVICE_ID, DEVICE_VERSION, FIRST_BLOCK, Register
from hls_gen.render import TEMPLATE_FOLDER
from hls_gen.vivado import vivado_files
from sw_model.input_encoding import Encoding, encode
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import EventDrivenStream

MODEL = random_model(RandomModelSpec(hidden=(16, 12), tokens=11, classes=9, seed=5))
OVERLAY = TEMPLATE_FOLDER / "vivado" / "overlay.py"


class Buffer(np.ndarray):
    """Memory behind a cache: the DMA sees what was flushed, the processor what was invalidated."""

    memory: np.ndarray
    freed: bool

    def flush(self) -> None:
        self.memory[...] = self

    def invalidate(self) -> None:
        self[...] = self.memory

    def freebuffer(self) -> None:
        assert not self.freed
        self.freed = True


class Channel:
    """A channel of pynq's DMA without scatter gather."""

    def __init__(self, hardware: "Hardware", *, sends: bool) -> None:
        self._hardware, self._sends = hardware, sends
        self.transferred, self.running = 0, True
        self.active: Buffer | None = None

    @property
    def idle(self) -> bool:
        return self._hardware.polled(self)

    @property
    def error(self) -> bool:
        return self._hardware.fault == "dma" and self.active is not None

    def start(self) -> None:
        self.running, self.active = True, None

    def transfer(self, array: Buffer) -> None:
        if not self.running or self.active is not None:
            raise RuntimeError("DMA channel not idle")
        assert not array.freed
        if self._sends:
            array.flush()
        self.active = array
        if self._sends:
            self._hardware.take(array)

    def wait(self) -> None:
        assert self.idle
        assert self.active is not None
        if not self._sends:
            self.active.invalidate()
            self.transferred = self._hardware.received_bytes
        self.active = None


class Interrupt:
    """pynq's interrupt: a level, heard on the event loop that was current when the overlay was loaded."""

    def __init__(self, core: "Core") -> None:
        self._core, self._loop = core, asyncio.get_event_loop()
        self.waits = 0

    async def wait(self) -> None:
        assert asyncio.get_running_loop() is self._loop
        self.waits += 1
        while not (self._core.sticky[Register.IRQ_STATUS] & 1 and self._core.control & 2):
            await asyncio.sleep(0)


class Core:
    """The register file; addresses and effects as at the head of egru_axil_registers.sv."""

    def __init__(self, hardware: "Hardware", *, interrupt: bool) -> None:
        self._hardware, self.control, self._high = hardware, 0, 0
        self.sticky = {Register.ERRORS: 0, Register.IRQ_STATUS: 0}
        self.soft_resets = 0
        self.plain = {
            Register.ID: DEVICE_ID,
            Register.VERSION: DEVICE_VERSION,
            Register.TOKENS: MODEL.tokens or MODEL.channels,
            Register.CLASSES: MODEL.classes,
        }
        for word in range(8):
            self.plain[Register.MODEL_HASH + 4 * word] = int(MODEL.content_hash(), 16) >> (32 * word) & 0xFFFF_FFFF  # type: ignore[index]
        if interrupt:
            self.irq_o = Interrupt(self)

    def read(self, offset: int) -> int:
        if offset in self.plain:
            return self.plain[Register(offset) if offset in list(Register) else offset]  # type: ignore[index]
        if offset in self.sticky:
            return self.sticky[Register(offset)]
        if offset == Register.CONTROL:
            return self.control & 2
        low = offset & ~4
        if low in (Register.CYCLES, Register.STEPS) or low >= FIRST_BLOCK:
            if offset & 4:
                return self._high
            value = self._hardware.counter(low)
            self._high = value >> 32
            return value & 0xFFFF_FFFF
        raise AssertionError(f"access to 0x{offset:03x}")

    def write(self, offset: int, value: int) -> None:
        if offset == Register.CONTROL:
            self.control = value & 2
            self.soft_resets += value & 1
            if value & 4:
                self._hardware.reference = EventDrivenStream(MODEL)
        else:
            self.sticky[Register(offset)] &= ~value


class Hardware:
    """Core and DMA. ``fault``: none, ``hang``, ``dma``, ``short`` (bytes are missing), ``core`` (an error bit)."""

    def __init__(self, *, interrupt: bool) -> None:
        self.fault = ""
        self.reference = EventDrivenStream(MODEL)
        self.core = Core(self, interrupt=interrupt)
        self.sendchannel, self.recvchannel = Channel(self, sends=True), Channel(self, sends=False)
        self.buffers: list[Buffer] = []
        self.sent: list[int] = []
        self.received_bytes, self.polls, self._ready_after, self.dma_resets = 0, 0, 0, 0

    # the DMA as pynq's driver shows it
    def read(self, offset: int) -> int:
        assert offset == 0
        return 0

    def write(self, offset: int, value: int) -> None:
        assert (offset, value) == (0, 4)
        self.dma_resets += 1
        for channel in (self.sendchannel, self.recvchannel):
            channel.running, channel.active = False, None

    def polled(self, channel: Channel) -> bool:
        self.polls += 1
        return channel.active is None or (self.fault != "hang" and self.polls > self._ready_after)

    def take(self, array: Buffer) -> None:
        logits = self.recvchannel.active
        assert logits is not None  # a word must not come before there is room for its answer
        self.sent = array.memory.tolist()
        sequence: Iterable[Any] = self._events() if MODEL.channels else self.sent
        for step, inputs in enumerate(sequence):
            logits.memory[step] = self.reference.step(inputs).logits
        self.reference.reset()
        self.received_bytes = logits.nbytes - (4 if self.fault == "short" else 0)
        self._ready_after = self.polls + 5
        if self.fault != "hang":
            self.core.sticky[Register.IRQ_STATUS] |= 1
        if self.fault == "core":
            self.core.sticky[Register.ERRORS] |= 1

    def _events(self) -> Iterator[np.ndarray]:
        """Yield the events of each step, as egru_feature_words takes them."""
        events, bits = np.zeros(MODEL.channels, np.int64), MODEL.formats.event_bits
        for word in self.sent:
            if word:
                events[word >> bits] = word & (1 << bits) - 1
            else:
                yield events.copy()
                events[:] = 0

    def counter(self, address: int) -> int:
        counts = self.reference.counts
        if address == Register.STEPS:
            return counts.steps
        if address == Register.CYCLES:
            return 5 << 32 | 7
        block, place = divmod(address - FIRST_BLOCK, BLOCK_BYTES)
        name = COUNTERS[place // 8]
        return {"steps": counts.steps, "macs": [*counts.macs, counts.decoder_macs][block]}.get(name, 1000 * block + place)


def load(folder: Path, monkeypatch: pytest.MonkeyPatch, *, interrupt: bool) -> tuple[Any, Hardware]:
    """Import overlay.py with a fake pynq, and return the module and the hardware behind it."""
    hardware = Hardware(interrupt=interrupt)

    def allocate(shape: tuple[int, ...], dtype: type) -> Buffer:
        buffer = np.full(shape, 0x55, dtype).view(Buffer)
        buffer.memory, buffer.freed = np.full(shape, 0x77, dtype), False
        hardware.buffers.append(buffer)
        return buffer

    class Overlay:
        def __init__(self, path: str) -> None:
            assert path == str(folder / "egru.bit")
            self.egru, self.dma = hardware.core, hardware

    fake = ModuleType("pynq")
    fake.allocate, fake.Overlay = allocate, Overlay  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynq", fake)
    spec = importlib.util.spec_from_file_location("overlay", folder / "overlay.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "overlay", module)
    spec.loader.exec_module(module)
    return module, hardware


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_overlay(MODEL, tmp_path)
    return tmp_path


def write_overlay(model: QuantizedModel, folder: Path) -> None:
    generated = rtl_backend.generate(model, HardwareConfig(lanes=4))
    board = load_board("pynq_z2")
    files = vivado_files(board, board.clock.core_mhz, model, generated, list(generated.sources))
    for name in ("overlay.py", "egru.json"):
        (folder / name).write_text(files[name])


@pytest.fixture(autouse=True)
def _loop() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def reference_logits(sequence: np.ndarray) -> np.ndarray:
    stream = EventDrivenStream(MODEL)
    return np.array([stream.step(inputs).logits for inputs in sequence])


@pytest.mark.parametrize("interrupt", [True, False])
def test_answers_are_the_references(interrupt: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, hardware = load(folder, monkeypatch, interrupt=interrupt)
    egru = module.EgruOverlay()
    rng = np.random.default_rng(1)
    for length in (1, 7, 200):
        tokens = rng.integers(0, MODEL.tokens, length)
        answer = egru.run(tokens)
        wanted = reference_logits(tokens)
        assert answer.logits.dtype == np.int32
        assert np.array_equal(answer.logits, wanted)
        assert answer.classes.tolist() == [int(np.flatnonzero(row == row.max())[0]) for row in wanted]
    assert len(hardware.buffers) == 6
    assert all(buffer.freed for buffer in hardware.buffers)
    assert hardware.dma_resets == 0
    if interrupt:
        assert hardware.core.irq_o.waits == 3
        assert hardware.core.control & 2
    assert len(np.unique(wanted)) > 100


def test_of_equal_logits_the_lowest_class_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, hardware = load(folder, monkeypatch, interrupt=False)
    egru = module.EgruOverlay()

    class Tied:
        logits = np.array([1, 7, 7, 0, 7, -1, -1, -1, -1])

    monkeypatch.setattr(hardware.reference, "step", lambda _token: Tied)
    assert egru.run([0, 1]).classes.tolist() == [1, 1]


def test_run_works_in_a_notebook_where_the_loop_runs_already(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, hardware = load(folder, monkeypatch, interrupt=True)
    egru = module.EgruOverlay()

    async def cell() -> tuple[Any, Any]:
        return egru.run([1, 2, 3]), await egru.run_async([1, 2, 3])

    both = asyncio.get_event_loop().run_until_complete(cell())
    for answer in both:
        assert np.array_equal(answer.logits, reference_logits(np.array([1, 2, 3])))
    assert hardware.core.irq_o.waits == 1


def test_registers_and_counters_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, hardware = load(folder, monkeypatch, interrupt=False)
    egru = module.EgruOverlay()
    egru.run(np.arange(11))
    assert egru.read("MODEL_HASH") == int(MODEL.content_hash(), 16)
    assert egru.read("STEPS") == 11
    assert egru.read("CYCLES") == 5 << 32 | 7
    counters = egru.counters()
    assert list(counters) == ["layer0", "layer1", "decoder"]
    macs = [*hardware.reference.counts.macs, hardware.reference.counts.decoder_macs]
    assert [block["macs"] for block in counters.values()] == macs
    assert min(macs) > 0
    assert list(counters["decoder"]) == list(COUNTERS)
    assert counters["layer1"]["output_stalls"] == 1000 + 8 * COUNTERS.index("output_stalls")
    egru.clear_counters()
    assert egru.read("STEPS") == 0
    with pytest.raises(module.EgruError, match="there is no register STEP; there are ID, VERSION"):
        egru.read("STEP")


@pytest.mark.parametrize("interrupt", [True, False])
@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("hang", "TimeoutError", r"within 1\.0 s"),
        ("dma", "EgruError", "the DMA's send channel reports an error"),
        ("short", "EgruError", "68 bytes arrived instead of 72"),
        ("core", "EgruError", "the core reports errors 0x1"),
    ],
)
def test_a_fault_is_reported_and_the_next_sequence_is_right(
    fault: str, kind: str, message: str, interrupt: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, hardware = load(folder, monkeypatch, interrupt=interrupt)
    egru = module.EgruOverlay(timeout_s=1.0)
    hardware.fault = fault
    with pytest.raises(TimeoutError if kind == "TimeoutError" else module.EgruError, match=message):
        egru.run([4, 2])
    assert (hardware.dma_resets, hardware.core.soft_resets) == (1, 1)
    assert all(buffer.freed for buffer in hardware.buffers)
    hardware.fault = ""
    assert np.array_equal(egru.run([4, 2]).logits, reference_logits(np.array([4, 2])))


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        (Register.ID, 0, "ID is 0x0, egru.json says 0x45475255"),
        (Register.MODEL_HASH, 0, "MODEL_HASH is 0x"),
        (Register.TOKENS, 12, "TOKENS is 0xc"),
        (Register.CLASSES, 1, "CLASSES is 0x1"),
        (Register.VERSION, 0x0002_0300, r"VERSION is 2\.3, this file is for 0\.1"),
    ],
)
def test_another_bitstream_is_refused(register: Register, value: int, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, hardware = load(folder, monkeypatch, interrupt=False)
    hardware.core.plain[register] = value
    with pytest.raises(module.EgruError, match=message):
        module.EgruOverlay()


def test_another_version_of_the_description_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _hardware = load(folder, monkeypatch, interrupt=False)
    about = json.loads((folder / "egru.json").read_text())
    (folder / "egru.json").write_text(json.dumps(about | {"version": 2}))
    with pytest.raises(module.EgruError, match="has format egru-overlay 2; this file reads egru-overlay 1"):
        module.EgruOverlay()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "a sequence of 0 tokens is outside 1 to"),
        ([11], "tokens 11 to 11 are not all within 0 to 10"),
        ([-1, 3], "tokens -1 to 3"),
        ([0.5], "are no sequence"),
        ([[1, 2]], r"of shape \(1, 2\)"),
        (np.zeros(2_000_000, np.int64), "a sequence of 2000000 tokens is outside 1 to 1864135"),
    ],
)
def test_tokens_the_model_does_not_know_are_refused(tokens: Any, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, hardware = load(folder, monkeypatch, interrupt=False)
    egru = module.EgruOverlay()
    with pytest.raises(ValueError, match=message):
        egru.run(tokens)
    assert hardware.buffers == []


# ---- a model of features ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["dense", "delta"])
def test_a_model_of_features_answers_as_the_reference(encoding: Encoding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(RandomModelSpec(hidden=(10,), features=5, encoding=encoding, classes=9, density=0.5, seed=6))
    assert model.feature_input is not None
    monkeypatch.setattr(sys.modules[__name__], "MODEL", model)
    write_overlay(model, tmp_path)
    module, hardware = load(tmp_path, monkeypatch, interrupt=False)
    egru = module.EgruOverlay()
    features = np.random.default_rng(1).normal(0.0, 1.5, (70, 5))
    features[0] = (1e300, -1e300, 0.0, 1e-300, 2.0)
    events = egru.encode(features)
    assert np.array_equal(events, encode(model.feature_input, model.formats.event_bits, features).values)
    answer = egru.run(events)
    assert np.array_equal(answer.logits, reference_logits(events))
    assert hardware.sent == input_words(model, events)
    assert (egru.tokens, egru.channels) == (0, model.channels)
    largest = egru.longest_sequence
    for wrong, message in (
        (events[:, 1:], r"events of shape \(70, "),
        (events * 1.0, "type float64"),
        (events - 1, "events -1 to"),
        (events + 250, "are not all within 0 to 255"),
        (events[:0], f"a sequence of 0 steps is outside 1 to {largest}"),
    ):
        with pytest.raises(ValueError, match=message):
            egru.run(wrong)
    for wrong in (features[:, 1:], features[0], features * np.nan):
        with pytest.raises(ValueError, match=r"are not finite numbers of shape \(frames, 5\)"):
            egru.encode(wrong)
    # With many events it is the words that fill a transfer.
    monkeypatch.setattr(type(egru), "longest_sequence", 70)
    egru._about["max_transfer_bytes"] = 200
    with pytest.raises(ValueError, match=r"a sequence of \d+ words exceeds 100; cut it"):
        egru.run(events)


def test_a_model_of_tokens_encodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _hardware = load(folder, monkeypatch, interrupt=False)
    with pytest.raises(ValueError, match="the model reads tokens, not features"):
        module.EgruOverlay().encode(np.zeros((1, 5)))


def test_the_class_is_python_of_the_oldest_pynq_image() -> None:
    ast.parse(OVERLAY.read_text(), feature_version=(3, 8))


def test_the_class_is_typed_and_clean() -> None:
    """It lies among the templates, which mypy does not look at by itself."""
    from mypy import api

    report, errors, status = api.run(["--strict", "--disable-error-code=import-not-found", "--cache-dir", "/dev/null", str(OVERLAY)])
    assert (status, errors) == (0, ""), report
