"""The register map of the generated core, as rtl_templates/lib/egru_axil_registers.sv and egru_layer_counters.sv define it."""

from enum import IntEnum

DEVICE_ID = 0x4547_5255  # "EGRU"
DEVICE_VERSION = 0x0000_0100  # major << 16 | minor << 8 | patch
HASH_WORDS = 8


class Register(IntEnum):
    """Byte addresses of 32-bit registers; of 64-bit values that of the low word, which is to be read first."""

    ID = 0x000
    VERSION = 0x004
    MODEL_HASH = 0x010
    CONTROL = 0x030
    STATUS = 0x034
    ERRORS = 0x038
    CYCLES = 0x040
    STEPS = 0x048
    BLOCKS = 0x050
    LANES = 0x054
    IRQ_STATUS = 0x058
    TOKENS = 0x05C
    CLASSES = 0x060
    LOAD_ADDRESS = 0x064
    LOAD_DATA = 0x068


SOFT_RESET = 0x1
CLEAR_COUNTERS = 0x4
"""Bits of CONTROL."""

TOKEN_OUT_OF_RANGE = 0x1
UNMAPPED_ADDRESS = 0x2
REFUSED_LOAD = 0x4
"""Bits of ERRORS."""

FIRST_BLOCK = 0x100
BLOCK_BYTES = 0x80
ADDRESSES = 0x1000
MAX_BLOCKS = (ADDRESSES - FIRST_BLOCK) // BLOCK_BYTES
"""The layers and the decoder, each with its counters, as far as the addresses reach."""

#: The 64-bit counters of every layer, and of the decoder, in the order of their addresses.
COUNTERS = ("steps", "input_events", "own_events", "macs", "fetch_slots", "idle_slots", "bus_stalls", "output_stalls", "update_cycles")


def counters_address(block: int) -> int:
    """Return the byte address of the first counter of a block: the layers in their order, then the decoder."""
    return FIRST_BLOCK + BLOCK_BYTES * block
