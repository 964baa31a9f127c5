"""What the device families are made of, as yosys 0.70 maps memories and products: its brams.txt, lutrams.txt and options of mul2dsp.

The shapes and costs of `memory_libmap` stand nowhere else in this project. What the cells of a netlist count for stands in
`hls_gen.board_flow`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hls_gen.board import Family


class Resource(StrEnum):
    """What a part has of each, and a core takes."""

    LUT = "lut"
    FF = "ff"
    BRAM = "bram"
    DSP = "dsp"
    SPRAM = "spram"


@dataclass(frozen=True)
class DistributedRam:
    """A small RAM made of tables.

    Attributes:
        words: Words of one.
        bits: Bits of a word.
        tables: Tables that it takes.
        cost: What memory_libmap reckons for one.
        least_cost: The same for one of which almost no bit is used; between the two it goes by the bits used.
    """

    words: int
    bits: int
    tables: int
    cost: float
    least_cost: float


@dataclass(frozen=True)
class Multiplier:
    """The smallest product that a multiplier is taken for; a smaller one is made of tables.

    Attributes:
        factor_bits: Bits of the narrower factor.
        product_bits: Bits of the product.
        half_bits: Where a product of two factors of so many bits takes half a multiplier; 0 where there are no halves.
    """

    factor_bits: int
    product_bits: int
    half_bits: int = 0


@dataclass(frozen=True)
class Device:
    """A device family.

    Attributes:
        names: What the vendor calls a table, a flip-flop, a block RAM, a multiplier; in the plural.
        block_shapes: Words and bits that one block RAM gives.
        block_cost: What memory_libmap reckons for one.
        mended_cost: What it reckons more where a read that meets a write of the same word must give the old one.
        distributed: The shapes of distributed RAM; none where small memories become flip-flops.
        multiplier: When a product takes one.
        logic_share: The share of a part's tables and flip-flops that a core may fill: routes through a fuller part are long or not found,
            and the estimate of the logic has an error of its own. Block RAMs and multipliers are counted, and may be used up.
    """

    names: Mapping[Resource, str]
    block_shapes: tuple[tuple[int, int], ...]
    block_cost: float
    mended_cost: float
    distributed: tuple[DistributedRam, ...]
    multiplier: Multiplier
    logic_share: float = 0.85


#: Words and bits of a large single-port RAM. Only the iCE40 UltraPlus has them; elsewhere a board's budget says that there are none.
LARGE_RAM_SHAPE = (16384, 16)

_SHAPES_18K = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
_SHAPES_4K = ((2048, 2), (1024, 4), (512, 8), (256, 16))


# A flip-flop of iCE40 and Gowin has no input but from the table in its cell; one without a table takes a cell alike. So cells are counted.
def _names(table: str, block_ram: str, multiplier: str) -> dict[Resource, str]:
    return {Resource.LUT: table, Resource.FF: "flip-flops", Resource.BRAM: block_ram, Resource.DSP: multiplier}


_ECP5 = Device(
    names=_names("LUT4", "DP16KD block RAMs", "MULT18X18D multipliers"),
    block_shapes=_SHAPES_18K,
    block_cost=128.0,
    mended_cost=12.0,
    distributed=(DistributedRam(words=16, bits=4, tables=4, cost=4.0, least_cost=4.0),),
    multiplier=Multiplier(factor_bits=2, product_bits=4),
)

_ICE40UP = Device(
    names=_names("logic cells", "4-kbit block RAMs", "SB_MAC16 multipliers"),
    block_shapes=_SHAPES_4K,
    block_cost=64.0,
    mended_cost=12.0,
    distributed=(),
    multiplier=Multiplier(factor_bits=2, product_bits=11),
    # Whole cells are counted, and the clock asked for is slow: 4,685 of 5,280 cells were routed at 33 MHz for 12.
    logic_share=0.92,
)

_GOWIN = Device(
    names=_names("logic cells", "BSRAM block RAMs", "18x18 multipliers"),
    block_shapes=_SHAPES_18K,
    block_cost=128.0,
    mended_cost=12.0,
    distributed=(DistributedRam(words=16, bits=4, tables=4, cost=4.0, least_cost=0.0),),
    multiplier=Multiplier(factor_bits=4, product_bits=9, half_bits=9),
)


def _amd(distributed: tuple[DistributedRam, ...], multiplier: str) -> Device:
    return Device(
        names=_names("LUT6", "RAMB18 block RAMs", f"{multiplier} multipliers"),
        block_shapes=_SHAPES_18K,
        block_cost=129.0,
        mended_cost=0.0,
        distributed=distributed,
        multiplier=Multiplier(factor_bits=2, product_bits=9),
    )


DEVICES: Mapping[Family, Device] = {
    Family.ECP5: _ECP5,
    Family.ICE40UP: _ICE40UP,
    Family.GW1N: _GOWIN,
    Family.GW2A: _GOWIN,
    # RAM32M and RAM64M; RAM32M16 and RAM64M8.
    Family.XC7: _amd((DistributedRam(32, 6, 4, 8.0, 7.0), DistributedRam(64, 3, 4, 8.0, 7.0)), "DSP48E1"),
    Family.XCUP: _amd((DistributedRam(32, 14, 8, 16.0, 0.0), DistributedRam(64, 7, 8, 16.0, 0.0)), "DSP48E2"),
}
