"""The accelerator in the programmable logic of a Zynq: AXI DMA for the streams, memory-mapped registers. Runs on the board, under PYNQ.

One transfer is one sequence, because the DMA closes every transfer with TLAST: 16-bit words in, all logits of every step back in class
order, 32 bits each.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from egru.host.errors import LinkError
from egru.host.transport import Answer, LinkStatistics, Word
from sw_model.errors import UserError

POLL_SECONDS = 50e-6


class PynqTransport:
    """The DMA and registers of a PYNQ overlay.

    Args:
        dma: The overlay's DMA, a ``pynq.lib.dma.DMA``.
        registers: The overlay's register window, a ``pynq.MMIO`` or a driver of the IP with ``read(offset)`` and ``write(offset, value)``.
        classes: Logits per step.
        allocate: Makes a buffer that the DMA can reach from a shape and a dtype; None for ``pynq.allocate``.
        max_words: Of the longest sequence; buffers for it and its logits are kept.
        timeout_seconds: The longest that a transfer may take.
        name: What the device is called in messages.

    Attributes:
        step_logits: Logits of every step of the last sequence, int32, shape (steps, classes).
    """

    has_logits = True

    def __init__(
        self,
        dma: Any,
        registers: Any,
        classes: int,
        *,
        allocate: Callable[..., Any] | None = None,
        max_words: int = 4096,
        timeout_seconds: float = 10.0,
        name: str = "the programmable logic",
    ) -> None:
        if allocate is None:
            import pynq  # only there on a board that runs PYNQ

            allocate = pynq.allocate
        self.name, self.max_words = name, max_words
        self.statistics = LinkStatistics()
        self._dma, self._registers, self._classes, self._timeout = dma, registers, classes, timeout_seconds
        make_buffer: Callable[..., Any] = allocate
        self._words = make_buffer(shape=(max_words,), dtype=np.uint16)
        self._logits = make_buffer(shape=(max_words * classes,), dtype=np.int32)
        self.step_logits = np.empty((0, classes), np.int32)

    def step(self, words: Sequence[Word]) -> list[Answer]:
        """Run the time steps of a whole sequence; answers are found here, among all logits.

        Raises:
            UserError: When ``words`` are not one whole sequence.
            LinkError: When the transfer fails or does not end.
        """
        count, steps = len(words), sum(word.answered for word in words)
        if [word.last for word in words] != [False] * (count - 1) + [True]:
            rule = "must be one whole sequence, since every DMA transfer ends one"
            raise UserError(f"a transfer of {count} words", rule, f"stream whole sequences of at most {self.max_words} words")
        self._words[:count] = [word.value for word in words]
        self.statistics.requests += 1
        # The receiver first: logits can come before the call that sends words returns.
        self._dma.recvchannel.transfer(self._logits, nbytes=4 * steps * self._classes)
        self._dma.sendchannel.transfer(self._words, nbytes=2 * count)
        deadline = time.monotonic() + self._timeout
        for channel, what in ((self._dma.sendchannel, "words"), (self._dma.recvchannel, "logits")):
            self._finish(channel, what, deadline)
        self.statistics.bytes_sent += 2 * count
        self.statistics.bytes_received += 4 * steps * self._classes
        self.statistics.replies += 1
        logits = self.step_logits = np.array(self._logits[: steps * self._classes]).reshape(steps, self._classes)
        # argmax gives the first of equal ones: the lowest class.
        return [Answer(symbol, int(row[symbol])) for row, symbol in zip(logits, logits.argmax(axis=1).tolist(), strict=True)]

    def read(self, address: int, count: int = 1) -> list[int]:
        """Read consecutive registers."""
        return [int(self._registers.read(address + 4 * place)) for place in range(count)]

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write consecutive registers."""
        for place, word in enumerate(words):
            self._registers.write(address + 4 * place, int(word))

    def fill(self, address: int, words: Sequence[int]) -> None:
        """Write all words to one register."""
        for word in words:
            self._registers.write(address, int(word))

    def logits(self, first: int, count: int) -> list[int]:
        """Return logits of the last step."""
        found: list[int] = self.step_logits[-1:, first : first + count].ravel().tolist()
        return found

    def close(self) -> None:
        """Give the buffers back."""
        for buffer in (self._words, self._logits):
            if hasattr(buffer, "freebuffer"):
                buffer.freebuffer()

    def _finish(self, channel: Any, what: str, deadline: float) -> None:
        while not channel.idle:
            if channel.error:
                raise LinkError(f"DMA of {self.name}", f"failed while it moved {what}", "load the overlay again")
            if time.monotonic() > deadline:
                remedy = "load the overlay again; check that it was built for this model"
                raise LinkError(f"DMA of {self.name}", f"did not finish moving {what} within {self._timeout:g} s", remedy)
            time.sleep(POLL_SECONDS)
