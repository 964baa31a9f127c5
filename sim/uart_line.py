"""The host's end of a serial line: 8 data bits, no parity, 1 stop bit, least significant bit first."""

from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import FallingEdge, Timer

DATA_BITS = 8


class UartSender:
    """Sends bytes on a line.

    Args:
        line: The signal to drive; high when idle.
        bit_ns: Length of a bit.
    """

    def __init__(self, line: Any, bit_ns: float) -> None:
        self._line = line
        self._bit_ns = bit_ns
        line.value = 1

    async def send(self, data: Iterable[int], *, stop_bit: int = 1) -> None:
        """Send bytes without a gap; a ``stop_bit`` of 0 breaks the framing and leaves the line high afterwards."""
        for byte in data:
            for bit in (0, *(byte >> place & 1 for place in range(DATA_BITS)), stop_bit):
                await self._hold(bit, 1)
            self._line.value = 1

    async def idle(self, bits: float) -> None:
        """Keep the line high for that many bit lengths."""
        await self._hold(1, bits)

    async def low(self, bits: float) -> None:
        """Keep the line low for that many bit lengths, then let it idle."""
        await self._hold(0, bits)
        self._line.value = 1

    async def _hold(self, level: int, bits: float) -> None:
        self._line.value = level
        if bits > 0:
            await Timer(self._bit_ns * bits, "ns", round_mode="round")


class UartListener:
    """Receives bytes from a line; a stop bit that is low fails the test.

    Args:
        line: The signal to watch.
        bit_ns: Length of a bit.
    """

    def __init__(self, line: Any, bit_ns: float) -> None:
        self._line = line
        self._bit_ns = bit_ns
        self._received: Queue[int] = Queue()
        cocotb.start_soon(self._listen())

    async def receive(self, count: int) -> bytes:
        """Wait for ``count`` bytes."""
        return bytes([await self._received.get() for _ in range(count)])

    @property
    def waiting(self) -> int:
        """Bytes received and not yet taken."""
        return self._received.qsize()

    async def _listen(self) -> None:
        while True:
            await FallingEdge(self._line)
            await Timer(self._bit_ns / 2, "ns", round_mode="round")
            byte = 0
            for place in range(DATA_BITS):
                await Timer(self._bit_ns, "ns", round_mode="round")
                byte |= int(self._line.value) << place
            await Timer(self._bit_ns, "ns", round_mode="round")
            assert self._line.value == 1, f"the stop bit after byte 0x{byte:02x} is low"
            self._received.put_nowait(byte)
