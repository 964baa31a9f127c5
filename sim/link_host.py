"""The host's end of the link in a bench: requests and replies on the two lines of a UART, see docs/host_link.md."""

from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import SimTimeoutError, with_timeout

from sim.link_frames import Frame, FrameDecoder, Sync, encode_frame
from sim.uart_line import UartListener, UartSender

FRAME_BITS = 10  # of a byte on the line


class LinkHost:
    """Sends requests and waits for their replies.

    Attributes:
        sender: The line to the device, for bytes that are no frame.
        received: Every byte that came.
        sequence: Sequence number of the last request made by `request`.
    """

    def __init__(self, to_device: Any, from_device: Any, bit_ns: float) -> None:
        """Drive one line and listen to the other; a bit on either takes ``bit_ns``."""
        self.sender = UartSender(to_device, bit_ns)
        self.received = bytearray()
        self.sequence = 0
        self._bit_ns = bit_ns
        self._listener = UartListener(from_device, bit_ns)
        self._replies: Queue[Frame] = Queue()
        cocotb.start_soon(self._decode())

    def request(self, kind: int, payload: bytes = b"") -> Frame:
        """Return a request with the next sequence number."""
        self.sequence = (self.sequence + 1) % 256
        return Frame(kind, self.sequence, payload)

    async def send(self, request: Frame) -> None:
        """Send a request."""
        await self.sender.send(encode_frame(Sync.REQUEST, request))

    async def reply(self, wait_bytes: int = 2000) -> Frame:
        """Wait for a reply.

        Args:
            wait_bytes: For how long, in bytes on the line.

        Raises:
            AssertionError: When none has come in time.
        """
        try:
            return await with_timeout(self._replies.get(), round(wait_bytes * FRAME_BITS * self._bit_ns), "ns")
        except SimTimeoutError:
            raise AssertionError(f"no reply within {wait_bytes} bytes") from None

    async def ask(self, kind: int, payload: bytes = b"") -> Frame:
        """Send a request and return its reply, whose sequence number must be the request's."""
        request = self.request(kind, payload)
        await self.send(request)
        reply = await self.reply()
        assert (reply.sequence, reply.version) == (request.sequence, request.version)
        return reply

    async def silence(self, wait_bytes: int = 30) -> None:
        """Let some time pass, in which no byte may come."""
        before = len(self.received)
        await self.sender.idle(wait_bytes * FRAME_BITS)
        assert len(self.received) == before, f"the device sent {bytes(self.received[before:]).hex(' ')}"

    async def _decode(self) -> None:
        decoder = FrameDecoder(Sync.REPLY)
        while True:
            data = await self._listener.receive(1)
            self.received += data
            for frame in decoder.feed(data):
                self._replies.put_nowait(frame)
            assert decoder.rejected == 0, f"the device sent a broken frame: {bytes(self.received).hex(' ')}"
