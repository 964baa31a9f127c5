"""What stands for egru_crc32 in a bench of a module that only uses it: the same ports, zlib behind them."""

import zlib
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

CRC_BYTES = 4
BYTE_CYCLES = 8


class CrcModel:
    """Answers ``crc_clear_o`` and ``crc_valid_o`` of a module, and ``crc_drop_o`` where it has one.

    Attributes:
        taken: Bytes taken since the last clear, without those dropped.
    """

    def __init__(self, dut: Any, data: Any) -> None:
        """Start to serve ``dut``, which shows its bytes on ``data``."""
        self.taken = bytearray()
        self._dut, self._data = dut, data
        self._dropped = 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        dut, left = self._dut, 0
        drop = getattr(dut, "crc_drop_o", None)
        while True:
            self._show(left > 0)
            await RisingEdge(dut.clk_i)
            left = max(left - 1, 0)
            if dut.crc_clear_o.value == 1:
                self.taken.clear()
                self._dropped = left = 0
            elif dut.crc_valid_o.value == 1:
                assert left == 0, "a byte while the last one is still divided"
                left = BYTE_CYCLES
                if drop is not None and drop.value == 1:
                    self._dropped += 1
                else:
                    self.taken.append(int(self._data.value))

    def _show(self, busy: bool) -> None:
        """Drive what the module sees; while a byte is divided neither result means anything."""
        dut = self._dut
        dut.crc_busy_i.value = int(busy)
        if hasattr(dut, "crc_good_i"):
            message, crc = self.taken[:-CRC_BYTES], self.taken[-CRC_BYTES:]
            dut.crc_good_i.value = int(not busy and zlib.crc32(message).to_bytes(CRC_BYTES, "little") == crc)
        if hasattr(dut, "crc_byte_i"):
            line = zlib.crc32(self.taken).to_bytes(CRC_BYTES, "little") + b"\xff"
            dut.crc_byte_i.value = 0xAA if busy else line[min(self._dropped, CRC_BYTES)]
