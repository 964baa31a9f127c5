"""Contents of block RAMs in a routed design: where each column of bits of a memory image lies, new contents for it, and back.

The design is placed and routed with signatures: pseudo-random words in place of every memory image. No bit is then constant, so synthesis
drops none, and every column of bits is like no other, so each is found again in the router's output. `egru_rom` is cut into slices so that
a column lies in one block, or in pieces in several that begin at multiples of 256 words; a block is therefore searched for each of its port
widths, lane by lane.

The router's output is text: nextpnr-ecp5's configuration (``.bram_init``), nextpnr-ice40's ``.asc`` (``.ram_data``). Everything else in it
is left as it is.
"""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache

import numpy as np

from sw_model.errors import UserError

#: Shortest piece of a column, in bits: the smallest block RAM's words. egru_rom has a multiple of it where weights may be swapped.
SHORTEST = 256
FORMAT, VERSION = "egru-columns", 1
#: More than any memory of the generator has.
MAX_BITS, MAX_WORDS = 4096, 1 << 20


class BitstreamFamily(StrEnum):
    """Families whose block RAMs are known."""

    ECP5 = "ecp5"
    ICE40 = "ice40"


@dataclass(frozen=True)
class ImageFile:
    """One file of a memory image, that is one slice of a memory.

    Attributes:
        name: File name.
        bits: Width of a word.
        depth: Words.
    """

    name: str
    bits: int
    depth: int


@dataclass(frozen=True)
class Column:
    """A piece of a column of bits of an image, in one lane of a block.

    Attributes:
        block: The block, by its name in the router's output.
        width: Port width of the block.
        lane: Bit of the port.
        file: Name of the image's file.
        bit: Bit of its words.
        start: The word that lies at address 0 of the block.
    """

    block: str
    width: int
    lane: int
    file: str
    bit: int
    start: int


@dataclass(frozen=True)
class ColumnMap:
    """Where every bit of every image lies in one routed design.

    Attributes:
        family: Of the device.
        files: The images.
        columns: Every place; an image that several memories hold has several.
    """

    family: BitstreamFamily
    files: tuple[ImageFile, ...]
    columns: tuple[Column, ...]

    def to_json(self) -> str:
        """Write the map; one line per file and column."""
        values = {"format": FORMAT, "version": VERSION, "family": str(self.family)}
        tables = {
            name: ",\n".join("  " + json.dumps(list(asdict(row).values())) for row in rows)
            for name, rows in (("files", self.files), ("columns", self.columns))
        }
        head = json.dumps(values, indent=1)[:-2]
        return head + "".join(f',\n "{name}": [\n{text}\n ]' for name, text in tables.items()) + "\n}\n"

    @classmethod
    def from_json(cls, text: str) -> "ColumnMap":
        """Read what `to_json` wrote.

        Raises:
            UserError: When it is something else.
        """
        try:
            values = json.loads(text)
            if (values["format"], values["version"]) != (FORMAT, VERSION):
                raise ValueError("it is of another format or version")
            files = tuple(ImageFile(str(name), int(bits), int(depth)) for name, bits, depth in values["files"])
            columns = tuple(Column(str(b), int(w), int(n), str(f), int(i), int(s)) for b, w, n, f, i, s in values["columns"])
            found = cls(BitstreamFamily(values["family"]), files, columns)
            found._check()
            return found
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UserError("the map of the memory columns", f"cannot be read ({error})", "build the design again") from error

    def _check(self) -> None:
        """Refuse what no build has written.

        Raises:
            ValueError: Naming the file or column.
        """
        known = {file.name: file for file in self.files}
        for file in self.files:
            if not (1 <= file.bits <= MAX_BITS and 1 <= file.depth <= MAX_WORDS):
                raise ValueError(f"image {file.name} of {file.depth} words of {file.bits} bits")
        for column in self.columns:
            place = known.get(column.file)
            if place is None or not (0 <= column.bit < place.bits and 0 <= column.start < _whole(place)):
                raise ValueError(f"a column of {column.file}, bit {column.bit}, word {column.start}, which is in no image")
            if column.width not in _WIDTHS[self.family] or not 0 <= column.lane < column.width:
                raise ValueError(f"lane {column.lane} of a port of {column.width} bits")


def signature(file: ImageFile) -> list[int]:
    """Return the words that stand for ``file`` during placing and routing; they depend on its name and shape alone."""
    rng = random.Random(f"{file.name} {file.bits} {file.depth}")
    return [rng.getrandbits(file.bits) for _ in range(_whole(file))]


def find_columns(family: BitstreamFamily, routed: str, files: tuple[ImageFile, ...]) -> ColumnMap:
    """Find the signatures of ``files`` in the router's output.

    Raises:
        UserError: When a bit of an image is in no block RAM.
    """
    contents = {file.name: _bits(signature(file), file.bits) for file in files}
    known = {
        _key(bits[start:, bit]): (name, bit, start)
        for name, bits in contents.items()
        for bit in range(bits.shape[1])
        for start in range(0, len(bits) - SHORTEST + 1, SHORTEST)
    }
    found = {name: np.zeros(bits.shape, bool) for name, bits in contents.items()}
    columns = []
    for block, stored in read_blocks(family, routed).items():
        for width in _WIDTHS[family]:
            lanes = stored[_positions(family, width)]
            for lane in range(width):
                hit = known.get(_key(lanes[:, lane]))
                if hit is None:
                    continue
                name, bit, start = hit
                wanted = contents[name][start : start + len(lanes), bit]
                if np.array_equal(wanted, lanes[: len(wanted), lane]):
                    columns.append(Column(block, width, lane, name, bit, start))
                    found[name][start : start + len(wanted), bit] = True
    for file in files:
        if not found[file.name].all():
            word, bit = np.argwhere(~found[file.name])[0]
            raise UserError(
                f"bit {bit} of word {word} of memory {file.name}",
                "is in no block RAM of the routed design",
                "report it: synthesis has changed a memory in a way that swapping does not know",
            )
    return ColumnMap(family, files, tuple(columns))


def replace_contents(routed: str, columns: ColumnMap, images: Mapping[str, list[int]]) -> str:
    """Put ``images`` (words by file name) in the place of what the router's output holds; words beyond an image become 0.

    Raises:
        UserError: When a block is missing.
        ValueError: When an image is not what the map says.
    """
    bits = {}
    for file in columns.files:
        words = images[file.name]
        if len(words) != file.depth:
            raise ValueError(f"{file.name} has {len(words)} words, not {file.depth}")
        bits[file.name] = np.vstack([_bits(words, file.bits), np.zeros((_whole(file) - file.depth, file.bits), np.uint8)])
    blocks = read_blocks(columns.family, routed)
    _require_blocks(columns, blocks)
    for column in columns.columns:
        piece = bits[column.file][column.start :, column.bit]
        places = _positions(columns.family, column.width)[:, column.lane]
        blocks[column.block][places[: len(piece)]] = piece[: len(places)]
    return _write_blocks(columns.family, routed, blocks)


def extract_contents(routed: str, columns: ColumnMap) -> dict[str, list[int]]:
    """Return the memory images (words by file name) that a design holds.

    Args:
        routed: Text of a bitstream, as the router or the unpacking tool writes it.
        columns: Where the images lie in the router's output of this design.

    Raises:
        UserError: When two memories that hold the same image differ, or a block is missing.
    """
    blocks = read_blocks(columns.family, routed)
    _require_blocks(columns, blocks)
    bits = {file.name: np.full((_whole(file), file.bits), UNKNOWN, np.uint8) for file in columns.files}
    for column in columns.columns:
        target = bits[column.file][column.start :, column.bit]
        piece = blocks[column.block][_positions(columns.family, column.width)[:, column.lane]][: len(target)]
        target = target[: len(piece)]
        if not np.all((target == UNKNOWN) | (target == piece)):
            raise UserError(f"memory {column.file}", "has different contents in two places", "swap the weights again")
        target[:] = piece
    return {file.name: _words(bits[file.name][: file.depth]) for file in columns.files}


def _require_blocks(columns: ColumnMap, blocks: Mapping[str, np.ndarray]) -> None:
    for column in columns.columns:
        if column.block not in blocks:
            raise UserError(f"block RAM {column.block}", "is not in this bitstream", "give a bitstream that was made of this build")


UNKNOWN = 2
_BLOCK_BITS = {BitstreamFamily.ECP5: 2048 * 9, BitstreamFamily.ICE40: 4096}
_WIDTHS = {BitstreamFamily.ECP5: (1, 2, 4, 9, 18, 36), BitstreamFamily.ICE40: (2, 4, 8, 16)}
_HEADERS = {
    BitstreamFamily.ECP5: re.compile(r"^\.bram_init (\d+)\n", re.M),
    BitstreamFamily.ICE40: re.compile(r"^\.ram_data (\d+ \d+)\n", re.M),
}


def read_blocks(family: BitstreamFamily, routed: str) -> dict[str, np.ndarray]:
    """Return the bits of every block RAM, uint8, in the order of the file's words, the least significant bit of each first.

    Raises:
        UserError: When a block is not complete.
    """
    blocks = {}
    for name, start, end in _sections(family, routed):
        words = routed[start:end].split()
        # ECP5: words of 9 bits; iCE40: lines of 256 bits, one of the parameters INIT_0 to INIT_F.
        bits = 9 if family is BitstreamFamily.ECP5 else 256
        digits = re.compile(rf"[0-9a-fA-F]{{1,{-(-bits // 4)}}}")
        numbers = [int(word, 16) for word in words if digits.fullmatch(word)]
        if len(numbers) * bits != _BLOCK_BITS[family] or len(words) != len(numbers) or max(numbers) >> bits:
            raise UserError(f"block RAM {name} of the bitstream", f"has {len(numbers)} words of {bits} bits", "build the design again")
        blocks[name] = _bits(numbers, bits).reshape(-1)
    return blocks


def _sections(family: BitstreamFamily, routed: str) -> list[tuple[str, int, int]]:
    """Return name, begin and end of each block's words."""
    heads = list(_HEADERS[family].finditer(routed))
    ends = re.compile(r"^(?=\.|\s*$)", re.M)
    found = []
    for head in heads:
        end = ends.search(routed, head.end())
        found.append((head[1], head.end(), len(routed) if end is None else end.start()))
    return found


def _write_blocks(family: BitstreamFamily, routed: str, blocks: Mapping[str, np.ndarray]) -> str:
    """Return ``routed`` with other bits in its blocks, in the layout that it has."""
    sections = _sections(family, routed)
    pieces, last = [], 0
    for name, start, end in sections:
        pieces += [routed[last:start], _block_text(family, blocks[name])]
        last = end
    return "".join([*pieces, routed[last:]])


def _block_text(family: BitstreamFamily, bits: np.ndarray) -> str:
    if family is BitstreamFamily.ECP5:
        words = [f"{word:03x}" for word in _words(bits.reshape(-1, 9))]
        return "".join(" ".join(words[place : place + 8]) + "\n" for place in range(0, len(words), 8))
    return "".join(f"{word:064x}\n" for word in _words(bits.reshape(-1, 256)))


@cache
def _positions(family: BitstreamFamily, width: int) -> np.ndarray:
    """Return where in a block the port's bits are, int64, shape (addresses, width)."""
    lane = np.arange(width)
    if family is BitstreamFamily.ICE40:
        # yosys lays the words one after the other, and reverses the four bits that number the bits of a row of 16 (ice40/brams_map.v).
        place = np.arange(4096 // width)[:, np.newaxis] * width + lane
        reversed_ = np.array([int(f"{number:04b}"[::-1], 2) for number in range(16)])
        positions: np.ndarray = place // 16 * 16 + reversed_[place % 16]
        return positions
    address = np.arange(16384 // width if width < 9 else 18432 // width)[:, np.newaxis]
    # Words of 9 bits; ports of 1, 2 and 4 bits leave the ninth unused.
    share = 8 // width
    positions = address * width + lane if width >= 9 else address // share * 9 + address % share * width + lane
    return positions


def _whole(file: ImageFile) -> int:
    """Return the words that egru_rom makes of a memory whose contents are swapped."""
    return -(-file.depth // SHORTEST) * SHORTEST


def _key(bits: np.ndarray) -> bytes:
    return np.packbits(bits[:SHORTEST]).tobytes()


def _bits(words: list[int], bits: int) -> np.ndarray:
    """Return the bits of ``words``, uint8, shape (words, bits), the least significant first."""
    size = -(-bits // 8)
    raw = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in words), np.uint8).reshape(-1, size)
    return np.unpackbits(raw, axis=1, bitorder="little")[:, :bits].copy()


def _words(bits: np.ndarray) -> list[int]:
    packed = np.packbits(bits, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
