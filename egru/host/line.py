"""Byte lines: a serial port, and one that spoils bytes on purpose."""

import contextlib
import errno
import os
import random
from dataclasses import dataclass
from typing import Protocol

from egru.host.errors import LinkError

POLL_SECONDS = 0.02
WRITE_SECONDS = 10.0


class Line(Protocol):
    """A line that carries bytes both ways and promises nothing about them."""

    @property
    def name(self) -> str:
        """What the line is called in messages."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def read(self) -> bytes:
        """Return what has arrived; waits at most `POLL_SECONDS` for a first byte, and returns none if none came."""
        ...

    def close(self) -> None:
        """Give the line free; may be called twice."""
        ...


class SerialLine:
    """A serial port or pseudo-terminal, 8N1.

    Args:
        port: Its path, e.g. ``/dev/ttyUSB0``.
        baud: Bits per second.

    Raises:
        LinkError: When it cannot be opened.
    """

    def __init__(self, port: str, baud: int) -> None:
        import serial

        self.name = port
        self._failures: type[Exception] = serial.SerialException
        try:
            self._serial = serial.Serial(port, baud, timeout=POLL_SECONDS, write_timeout=WRITE_SECONDS, exclusive=True)
        except (serial.SerialException, OSError, ValueError) as error:
            remedy = "check name, baud rate and permissions (on Debian: group dialout)"
            raise LinkError(f"port {port}", f"cannot be opened at {baud} baud ({_reason(error)})", remedy) from None
        # An FTDI chip keeps bytes for 16 ms otherwise, which is longer than most requests take. Not every port can be asked.
        with contextlib.suppress(OSError, ValueError, NotImplementedError):
            self._serial.set_low_latency_mode(True)

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            LinkError: When the port is gone.
        """
        try:
            self._serial.write(data)
        except (self._failures, OSError) as error:
            raise self._lost(error) from None

    def read(self) -> bytes:
        """Return what has arrived.

        Raises:
            LinkError: When the port is gone.
        """
        try:
            received: bytes = self._serial.read(max(1, self._serial.in_waiting))
        except (self._failures, OSError) as error:
            raise self._lost(error) from None
        return received

    def close(self) -> None:
        """Close the port."""
        self._serial.close()

    def _lost(self, error: Exception) -> LinkError:
        return LinkError(f"port {self.name}", f"was lost ({_reason(error)})", "check the cable and that the device has power")


@dataclass
class Damage:
    """Bytes of one direction that a `NoisyLine` has spoilt."""

    dropped: int = 0
    doubled: int = 0
    flipped: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.dropped + self.doubled + self.flipped


class NoisyLine:
    """A line that drops, doubles and flips bytes in both directions, for tests of the link.

    Args:
        line: The line behind it.
        rate: Probability that a byte is spoilt, 0 to 1.
        seed: Of all draws; which bytes are hit depends on the traffic too.

    Attributes:
        sent: What was done to bytes on their way to the device.
        received: What was done to bytes on their way back.
    """

    def __init__(self, line: Line, rate: float, seed: int) -> None:
        self.name = line.name
        self.sent = Damage()
        self.received = Damage()
        self._line = line
        self._rate = rate
        self._sent_rng, self._received_rng = random.Random(f"sent {seed}"), random.Random(f"received {seed}")

    def write(self, data: bytes) -> None:
        """Send bytes, some of them spoilt."""
        self._line.write(self._spoil(data, self.sent, self._sent_rng))

    def read(self) -> bytes:
        """Return what has arrived, some of it spoilt."""
        return self._spoil(self._line.read(), self.received, self._received_rng)

    def close(self) -> None:
        """Close the line behind it."""
        self._line.close()

    def _spoil(self, data: bytes, damage: Damage, rng: random.Random) -> bytes:
        spoilt = bytearray()
        for byte in data:
            if rng.random() >= self._rate:
                spoilt.append(byte)
                continue
            match rng.randrange(3):
                case 0:
                    damage.dropped += 1
                case 1:
                    damage.doubled += 1
                    spoilt += bytes((byte, byte))
                case _:
                    damage.flipped += 1
                    spoilt.append(byte ^ 1 << rng.randrange(8))
        return bytes(spoilt)


def _reason(error: Exception) -> str:
    """Return the cause without pyserial's words around it."""
    code = getattr(error, "errno", None)
    if code is None:
        return str(error)
    return "another program uses it" if code == errno.EAGAIN else os.strerror(code)
