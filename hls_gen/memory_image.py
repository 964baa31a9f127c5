"""Memory images in the hexadecimal text format of ``$readmemh``: one word a line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MemoryImage:
    """The contents of one memory.

    Attributes:
        name: File name without folder or suffix.
        bits: Width of a word.
        words: Non-negative, below ``2**bits``; Python integers, because a word may exceed 64 bits.
        initial: Whether the hardware starts with them; else it waits for a host that loads them.
    """

    name: str
    bits: int
    words: tuple[int, ...]
    initial: bool = True

    def __post_init__(self) -> None:
        """Check that every word fits."""
        if not self.words:
            raise ValueError(f"memory {self.name} has no words")
        if min(self.words) < 0 or max(self.words) >> self.bits:
            raise ValueError(f"memory {self.name} has a word outside {self.bits} bits")

    def files(self) -> dict[str, str]:
        """Return the files that `egru_rom` reads, contents by name: one, or one per slice of a deep memory; none where it starts empty."""
        if not self.initial:
            return {}
        return {
            name: format_words([word >> low & (1 << bits) - 1 for word in self.words], bits)
            for name, low, bits in image_slices(self.name, self.bits, len(self.words))
        }


def image_slices(name: str, bits: int, depth: int) -> list[tuple[str, int, int]]:
    """Return file name, lowest bit and width of every slice of a memory ``name`` of ``depth`` words of ``bits`` bits."""
    width = slice_bits(bits, depth)
    if width == bits:
        return [(f"{name}.mem", 0, bits)]
    return [(f"{name}_{index:02x}.mem", low, min(width, bits - low)) for index, low in enumerate(range(0, bits, width))]


def total_bits(images: Iterable[MemoryImage]) -> int:
    """Return the bits of all ``images`` together."""
    return sum(image.bits * len(image.words) for image in images)


def address_bits(count: int) -> int:
    """Return the address bits of ``count`` things; one thing still takes one bit."""
    return max(1, (count - 1).bit_length())


def slice_bits(bits: int, depth: int) -> int:
    """Return the width of the slices of a memory of ``depth`` words; the same rule stands in egru_rom.sv, which gives the reason."""
    for deepest, width in ((1024, bits), (2048, 9), (4096, 4), (8192, 2)):
        if depth <= deepest:
            return min(width, bits)
    return 1


def format_words(words: Sequence[int], bits: int) -> str:
    """Write words of ``bits`` bits, one a line."""
    digits = -(-bits // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words)


def parse_words(text: str) -> list[int]:
    """Read what `format_words` wrote.

    Raises:
        ValueError: When it is something else.
    """
    return [int(word, 16) for word in text.split()]


def unsigned(values: np.ndarray, bits: int) -> list[int]:
    """Return the two's complement codes of ``values`` in ``bits`` bits."""
    mask = (1 << bits) - 1
    return [int(value) & mask for value in values.reshape(-1)]


def concatenate_fields(fields: list[np.ndarray], bits: int) -> list[int]:
    """Join equally wide fields into words; the first field is the least significant."""
    codes = [unsigned(field, bits) for field in fields]
    return [sum(code << (bits * place) for place, code in enumerate(word)) for word in zip(*codes, strict=True)]
