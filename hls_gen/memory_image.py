"""Memory images in the hexadecimal text format of ``$readmemh``: one word a line."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MemoryImage:
    """The contents of one memory.

    Attributes:
        name: File name without folder or suffix.
        bits: Width of a word.
        words: Non-negative, below ``2**bits``; Python integers, because a word may exceed 64 bits.
    """

    name: str
    bits: int
    words: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that every word fits."""
        if not self.words:
            raise ValueError(f"memory {self.name} has no words")
        if min(self.words) < 0 or max(self.words) >> self.bits:
            raise ValueError(f"memory {self.name} has a word outside {self.bits} bits")

    def files(self) -> dict[str, str]:
        """Return the files that `egru_rom` reads, contents by name: one, or one per slice of a deep memory."""
        width = slice_bits(self.bits, len(self.words))
        if width == self.bits:
            return {f"{self.name}.mem": _text(self.words, self.bits)}
        return {
            f"{self.name}_{index:02x}.mem": _text([word >> low & (1 << width) - 1 for word in self.words], width)
            for index, low in enumerate(range(0, self.bits, width))
        }


def slice_bits(bits: int, depth: int) -> int:
    """Return the width of the slices of a memory of ``depth`` words; the same rule stands in egru_rom.sv, which gives the reason."""
    for deepest, width in ((1024, bits), (2048, 9), (4096, 4), (8192, 2)):
        if depth <= deepest:
            return min(width, bits)
    return 1


def _text(words: tuple[int, ...] | list[int], bits: int) -> str:
    digits = -(-bits // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words)


def unsigned(values: np.ndarray, bits: int) -> list[int]:
    """Return the two's complement codes of ``values`` in ``bits`` bits."""
    mask = (1 << bits) - 1
    return [int(value) & mask for value in values.reshape(-1)]


def concatenate_fields(fields: list[np.ndarray], bits: int) -> list[int]:
    """Join equally wide fields into words; the first field is the least significant."""
    codes = [unsigned(field, bits) for field in fields]
    return [sum(code << (bits * place) for place, code in enumerate(word)) for word in zip(*codes, strict=True)]
