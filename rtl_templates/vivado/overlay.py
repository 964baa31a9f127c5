"""The accelerator on a board that runs PYNQ. Stands alone: needs numpy and pynq, and beside it egru.bit, egru.hwh and egru.json.

    from overlay import EgruOverlay

    egru = EgruOverlay()
    answer = egru.run([3, 1, 4, 1, 5])     # one sequence; the state is zero again after it
    answer.classes                         # the class with the largest logit, for every token
    egru.counters()["layer0"]["macs"]

Of a model of features run() takes the input events of every step, integers of shape (steps, channels); egru.encode(features) makes them of
real numbers of shape (frames, features), as docs/semantics.md of egru-fpga says.

The DMA closes every transfer with TLAST, which ends a sequence: what is to share a state goes into one call.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pynq

NAME = "egru"
FORMAT, FORMAT_VERSION = "egru-overlay", 1

SOFT_RESET, INTERRUPT_ENABLE, CLEAR_COUNTERS = 0x1, 0x2, 0x4  # bits of CONTROL
SEQUENCE_ENDED = 0x1  # bit of IRQ_STATUS
ALL_ERRORS = 0xFFFF_FFFF
DMA_CONTROL, DMA_RESET = 0x00, 0x4  # resets both channels
DMA_RESET_TRIES = 1000
WORD_BYTES = 4
POLL_S = 0.0005


class EgruError(RuntimeError):
    """The bitstream is not the one described, or the hardware refused something."""


@dataclass(frozen=True)
class Answer:
    """What came out of one sequence.

    Attributes:
        logits: int32, shape (steps, classes), a step for each token; the last ``logit_frac`` bits are the fraction.
        classes: int64, shape (steps,): the class with the largest logit; of equal ones the lowest.
    """

    logits: np.ndarray
    classes: np.ndarray


class EgruOverlay:
    """Loads the bitstream, streams tokens or input events through it, reads its registers."""

    def __init__(self, folder: str | Path | None = None, timeout_s: float = 10.0) -> None:
        """Load and check the bitstream.

        Args:
            folder: Where egru.bit, egru.hwh and egru.json are; None for the folder of this file.
            timeout_s: Longest time for one sequence.

        Raises:
            EgruError: When the hardware is not what egru.json describes.
        """
        folder = Path(__file__).resolve().parent if folder is None else Path(folder)
        self.timeout_s = timeout_s
        self._about = _read_description(folder / f"{NAME}.json")
        self._overlay = pynq.Overlay(str(folder / f"{NAME}.bit"))
        self._core = self._overlay.egru
        self._dma = self._overlay.dma
        # PYNQ hears interrupts on the event loop that was current when it loaded the overlay, on no other.
        self._interrupt = getattr(self._core, "irq_o", None)
        self._loop = asyncio.get_event_loop() if self._interrupt is not None else None
        self._check_identity()
        self._write("CONTROL", self._control())
        self._write("ERRORS", ALL_ERRORS)

    @property
    def tokens(self) -> int:
        """Number of tokens that the model knows; 0 where it reads features."""
        return int(self._about["tokens"])

    @property
    def channels(self) -> int:
        """Input events that a step can have; 0 where the model reads tokens."""
        return int(self._about.get("channels", 0))

    @property
    def classes(self) -> int:
        """Logits per step."""
        return int(self._about["classes"])

    @property
    def logit_frac(self) -> int:
        """Fraction bits of a logit."""
        return int(self._about["logit_frac"])

    @property
    def longest_sequence(self) -> int:
        """Steps that one transfer of the DMA can answer."""
        return int(self._about["max_transfer_bytes"]) // (WORD_BYTES * self.classes)

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Turn one sequence of features into input events, int64, shape (frames, channels); what the largest event cannot hold saturates.

        Args:
            features: Real numbers, shape (frames, features).

        Raises:
            ValueError: When the model reads tokens, or the features are not finite numbers of that shape.
        """
        about = self._about.get("encoding")
        if about is None:
            raise ValueError("the model reads tokens, not features")
        values = np.asarray(features, np.float64)
        if values.ndim != 2 or values.shape[1] != len(about["offset"]) or not np.isfinite(values).all():
            raise ValueError(f"features of shape {values.shape} are not finite numbers of shape (frames, {len(about['offset'])})")
        steps = np.floor((values - np.array(about["offset"])) * np.array(about["scale"]) + 0.5)
        levels: np.ndarray = np.clip(steps, 0, (1 << int(self._about["event_bits"])) - 1).astype(np.int64)
        if about["delta_threshold"] is None:
            return levels
        threshold, memory = np.array(about["delta_threshold"]), np.zeros(levels.shape[1], np.int64)
        events = np.zeros((len(levels), 2 * levels.shape[1]), np.int64)
        for frame, level in enumerate(levels):
            change = np.where(np.abs(level - memory) >= threshold, level - memory, 0)
            events[frame] = np.concatenate([np.maximum(change, 0), np.maximum(-change, 0)])
            memory += change
        return events

    def run(self, inputs: Sequence[Any] | np.ndarray) -> Answer:
        """Take one sequence through the network.

        Waits for the core's interrupt; where there is none, or the event loop runs already (a notebook), it asks the DMA again and again.

        Args:
            inputs: Tokens; of a model of features the input events of its steps, integers, shape (steps, channels), 0 for silence.

        Raises:
            ValueError: When these are not integers of that shape within the model's range, or too many.
            TimeoutError: After ``timeout_s``; core and DMA are reset then.
            EgruError: When the hardware reports an error; core and DMA are reset then.
        """
        if self._loop is not None and not self._loop.is_running():
            return self._loop.run_until_complete(self.run_async(inputs))
        with _Transfer(self, inputs) as transfer:
            while not transfer.done():
                time.sleep(POLL_S)
            return transfer.answer()

    async def run_async(self, inputs: Sequence[Any] | np.ndarray) -> Answer:
        """Do what `run` does, and let other tasks of the event loop work meanwhile."""
        with _Transfer(self, inputs) as transfer:
            if self._interrupt is not None:
                try:
                    await asyncio.wait_for(self._interrupt.wait(), self.timeout_s)
                except asyncio.TimeoutError:  # noqa: UP041 (another class before Python 3.11, which PYNQ images have)
                    raise TimeoutError(f"no interrupt within {self.timeout_s} s") from None
            # The interrupt comes with the last logit; the DMA still has to bring it to memory.
            while not transfer.done():
                await asyncio.sleep(POLL_S)
            return transfer.answer()

    def read(self, register: str) -> int:
        """Read a register or counter by its name in egru.json; one of several words gives one number.

        Raises:
            EgruError: When there is no such register.
        """
        place = self._place(register)
        # The low word first: reading it takes the copy that the high word's address returns.
        words = [int(self._core.read(place["offset"] + WORD_BYTES * index)) for index in range(place["words"])]
        return sum(word << (32 * index) for index, word in enumerate(words))

    def counters(self) -> dict[str, dict[str, int]]:
        """Read all counters: by block (layers, decoder) and name."""
        return {block: {name: self.read(f"{block}_{name}".upper()) for name in self._about["counters"]} for block in self._about["blocks"]}

    def clear_counters(self) -> None:
        """Set all counters, CYCLES and STEPS to zero."""
        self._write("CONTROL", self._control() | CLEAR_COUNTERS)

    def reset(self) -> None:
        """Reset DMA and core; what was under way is lost, the counters of the core too, its registers are kept."""
        self._dma.write(DMA_CONTROL, DMA_RESET)
        for _ in range(DMA_RESET_TRIES):
            if not self._dma.read(DMA_CONTROL) & DMA_RESET:
                break
        else:
            raise EgruError("the DMA does not come out of its reset; load the overlay again")
        self._write("CONTROL", self._control() | SOFT_RESET)
        self._write("ERRORS", ALL_ERRORS)
        self._dma.sendchannel.start()
        self._dma.recvchannel.start()

    def _control(self) -> int:
        return INTERRUPT_ENABLE if self._interrupt is not None else 0

    def _write(self, register: str, value: int) -> None:
        self._core.write(self._place(register)["offset"], value)

    def _place(self, register: str) -> dict[str, int]:
        registers: dict[str, dict[str, int]] = self._about["registers"]
        if register not in registers:
            raise EgruError(f"there is no register {register}; there are {', '.join(registers)}")
        return registers[register]

    def _check_identity(self) -> None:
        about = self._about
        for register, wanted in (
            ("ID", about["device_id"]),
            ("MODEL_HASH", int(about["model_hash"], 16)),
            ("TOKENS", self.tokens or self.channels),
            ("CLASSES", about["classes"]),
        ):
            found = self.read(register)
            if found != wanted:
                raise EgruError(f"{register} is 0x{found:x}, {NAME}.json says 0x{wanted:x}; copy both from one build")
        found, wanted = self.read("VERSION") >> 8, about["register_version"] >> 8  # the last part changes no address
        if found != wanted:
            here, there = (f"{value >> 8}.{value & 0xFF}" for value in (wanted, found))
            raise EgruError(f"VERSION is {there}, this file is for {here}; copy the overlay.py of the build")

    def _words(self, inputs: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, int]:
        """Return the words of a sequence, and its steps: a token each, or {channel, value} of each event and 0 at the end of a step."""
        if not self.channels:
            tokens = self._checked(inputs)
            return tokens, len(tokens)
        values, event_bits = np.asarray(inputs), int(self._about["event_bits"])
        if values.ndim != 2 or values.shape[1] != self.channels or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(f"events of shape {values.shape} and type {values.dtype} are not integers of shape (steps, {self.channels})")
        if not 1 <= len(values) <= self.longest_sequence:
            raise ValueError(f"a sequence of {len(values)} steps is outside 1 to {self.longest_sequence}; cut it")
        if values.min() < 0 or values.max() >> event_bits:
            raise ValueError(f"events {values.min()} to {values.max()} are not all within 0 to {(1 << event_bits) - 1}")
        ended = np.concatenate([np.arange(self.channels) << event_bits | values, np.zeros((len(values), 1), values.dtype)], axis=1)
        words = ended[np.concatenate([values > 0, np.ones((len(values), 1), bool)], axis=1)]
        most = int(self._about["max_transfer_bytes"]) // 2
        if len(words) > most:
            raise ValueError(f"a sequence of {len(words)} words exceeds {most}; cut it")
        return words, len(values)

    def _checked(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        values = np.asarray(tokens)
        if values.ndim != 1 or (values.size and not np.issubdtype(values.dtype, np.integer)):
            raise ValueError(f"tokens of shape {values.shape} and type {values.dtype} are no sequence; give integers in one dimension")
        if not 1 <= values.size <= self.longest_sequence:
            raise ValueError(f"a sequence of {values.size} tokens is outside 1 to {self.longest_sequence}; cut it")
        if values.min() < 0 or values.max() >= self.tokens:
            raise ValueError(f"tokens {values.min()} to {values.max()} are not all within 0 to {self.tokens - 1}")
        return values


class _Transfer:
    """One sequence on its way: starts both channels of the DMA, and cleans up whatever happens."""

    def __init__(self, egru: EgruOverlay, inputs: Sequence[Any] | np.ndarray) -> None:
        self._egru = egru
        self._values, self._steps = egru._words(inputs)

    def __enter__(self) -> _Transfer:
        egru, values = self._egru, self._values
        self._buffers: list[Any] = []
        try:
            self._inputs = self._allocate((values.size,), np.uint16)
            self._logits = self._allocate((self._steps, egru.classes), np.int32)
            self._inputs[:] = values
            egru._write("IRQ_STATUS", SEQUENCE_ENDED)
            self._deadline = time.monotonic() + egru.timeout_s
            # The receiver first: what is sent is answered at once.
            egru._dma.recvchannel.transfer(self._logits)
            egru._dma.sendchannel.transfer(self._inputs)
        except BaseException:
            self._clean_up(failed=True)
            raise
        return self

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        self._clean_up(failed=kind is not None)

    def done(self) -> bool:
        """Say whether both channels are idle.

        Raises:
            TimeoutError: After the deadline.
            EgruError: When a channel reports an error.
        """
        dma = self._egru._dma
        for name, channel in (("send", dma.sendchannel), ("receive", dma.recvchannel)):
            if channel.error:
                raise EgruError(f"the DMA's {name} channel reports an error")
        if dma.sendchannel.idle and dma.recvchannel.idle:
            return True
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"no answer within {self._egru.timeout_s} s")
        return False

    def answer(self) -> Answer:
        """Return what has arrived.

        Raises:
            EgruError: When less arrived than was asked for, or the core reports an error.
        """
        dma = self._egru._dma
        dma.sendchannel.wait()
        dma.recvchannel.wait()  # makes the processor see what the DMA wrote
        if dma.recvchannel.transferred != self._logits.nbytes:
            raise EgruError(f"{dma.recvchannel.transferred} bytes arrived instead of {self._logits.nbytes}")
        errors = self._egru.read("ERRORS")
        if errors:
            raise EgruError(f"the core reports errors 0x{errors:x}")
        logits = np.array(self._logits)
        return Answer(logits, logits.argmax(axis=1))  # numpy takes the first of equal ones

    def _allocate(self, shape: tuple[int, ...], kind: type) -> Any:
        self._buffers.append(pynq.allocate(shape=shape, dtype=kind))
        return self._buffers[-1]

    def _clean_up(self, failed: bool) -> None:
        try:
            if failed:
                self._egru.reset()  # first: the DMA must not write to memory that is given back
        finally:
            for buffer in self._buffers:
                buffer.freebuffer()


def _read_description(path: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(path.read_text())
    if about.get("format") != FORMAT or about.get("version") != FORMAT_VERSION:
        raise EgruError(f"{path} has format {about.get('format')} {about.get('version')}; this file reads {FORMAT} {FORMAT_VERSION}")
    return about
