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

    @property
    def file(self) -> str:
        """File name with suffix."""
        return f"{self.name}.mem"

    def text(self) -> str:
        """Return the file's contents."""
        digits = -(-self.bits // 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.words)


def unsigned(values: np.ndarray, bits: int) -> list[int]:
    """Return the two's complement codes of ``values`` in ``bits`` bits."""
    mask = (1 << bits) - 1
    return [int(value) & mask for value in values.reshape(-1)]


def concatenate_fields(fields: list[np.ndarray], bits: int) -> list[int]:
    """Join equally wide fields into words; the first field is the least significant."""
    codes = [unsigned(field, bits) for field in fields]
    return [sum(code << (bits * place) for place, code in enumerate(word)) for word in zip(*codes, strict=True)]
