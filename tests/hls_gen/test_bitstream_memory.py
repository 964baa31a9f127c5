"""Finding, replacing and reading block RAM contents in the text of routed designs that are put together here."""

import json
import random
from typing import Any

import numpy as np
import pytest

from hls_gen.bitstream_memory import BitstreamFamily, ColumnMap, ImageFile, extract_contents, find_columns, replace_contents, signature
from sw_model.errors import UserError

ECP5, ICE40 = BitstreamFamily.ECP5, BitstreamFamily.ICE40


def ecp5_position(width: int, address: int, lane: int) -> int:
    """Bit of a DP16KD, counted over its words of 9 bits."""
    if width >= 9:
        return address * width + lane
    place = address * width + lane
    return place // 8 * 9 + place % 8


def ice40_position(width: int, address: int, lane: int) -> int:
    """Bit of a RAM40: the number of a bit in its row of 16 is written backwards."""
    row, place = divmod(address * width + lane, 16)
    return row * 16 + (place >> 3 | place >> 1 & 2 | place << 1 & 4 | place << 3 & 8)


FAMILIES = {ECP5: (ecp5_position, 2048 * 9, (1, 2, 4, 9, 18, 36)), ICE40: (ice40_position, 4096, (2, 4, 8, 16))}


def block_text(family: BitstreamFamily, number: int, bits: list[int]) -> str:
    if family is ECP5:
        words = [f"{sum(bit << place for place, bit in enumerate(bits[low : low + 9])):03x}" for low in range(0, len(bits), 9)]
        rows = [" ".join(words[low : low + 8]) for low in range(0, len(words), 8)]
        return f".bram_init {number}\n" + "".join(f"{row}\n" for row in rows) + "\n"
    rows = [f"{sum(bit << place for place, bit in enumerate(bits[low : low + 256])):064x}" for low in range(0, len(bits), 256)]
    return f".ram_data 8 {number}\n" + "".join(f"{row}\n" for row in rows) + "\n"


def routed_design(family: BitstreamFamily, files: list[ImageFile], *, miss: str = "") -> str:
    """Put every file's columns into blocks of every width, lanes shuffled, among other blocks."""
    rng = random.Random(5)
    position, size, widths = FAMILIES[family]
    text, number = "header\n\n", 0
    for file in files:
        words = signature(file)
        for width in widths:
            depth = (16384 if width < 9 and family is ECP5 else size) // width
            for start in range(0, len(words), depth):
                for low in range(0, file.bits, width):
                    bits = [rng.getrandbits(1) for _ in range(size)]
                    mine = list(range(low, min(file.bits, low + width)))
                    lanes = rng.sample(range(width), len(mine))
                    for address, word in enumerate(words[start : start + depth]):
                        for lane, bit in zip(lanes, mine, strict=True):
                            bits[position(width, address, lane)] = (word >> bit & 1) ^ (file.name == miss and bit == 2)
                    text += block_text(family, number, bits) + f"other {number}\n"
                    number += 1
    return text


FILES = [ImageFile("a.mem", 7, 300), ImageFile("b.mem", 1, 2500), ImageFile("c_00.mem", 5, 1)]


@pytest.mark.parametrize("family", list(BitstreamFamily))
def test_contents_are_found_replaced_and_read_again(family: BitstreamFamily) -> None:
    rng = random.Random(6)
    text = routed_design(family, FILES)
    columns = find_columns(family, text, tuple(FILES))
    assert {column.width for column in columns.columns} == set(FAMILIES[family][2])
    assert extract_contents(text, columns) == {file.name: signature(file)[: file.depth] for file in FILES}
    assert ColumnMap.from_json(columns.to_json()) == columns

    images = {file.name: [rng.getrandbits(file.bits) for _ in range(file.depth)] for file in FILES}
    swapped = replace_contents(text, columns, images)
    assert extract_contents(swapped, columns) == images
    # Nothing else has changed: the signatures bring the first text back.
    whole = ColumnMap(family, tuple(ImageFile(f.name, f.bits, len(signature(f))) for f in FILES), columns.columns)
    assert replace_contents(swapped, whole, {file.name: signature(file) for file in FILES}) == text


@pytest.mark.parametrize("family", list(BitstreamFamily))
def test_a_lost_bit_is_named(family: BitstreamFamily) -> None:
    with pytest.raises(UserError, match=r"bit 2 of word 0 of memory a.mem is in no block RAM"):
        find_columns(family, routed_design(family, FILES, miss="a.mem"), tuple(FILES))


def test_two_places_that_differ_are_seen() -> None:
    text = routed_design(ECP5, FILES)
    columns = find_columns(ECP5, text, tuple(FILES))
    words = text.index("\n", text.index(".bram_init 0")) + 1
    with pytest.raises(UserError, match=r"memory a.mem has different contents in two places"):
        extract_contents(text[:words] + "1ff 000 " * 4 + text[words + 32 :], columns)


def test_a_bitstream_of_another_build_is_refused() -> None:
    columns = find_columns(ECP5, routed_design(ECP5, FILES), tuple(FILES))
    with pytest.raises(UserError, match="is not in this bitstream"):
        extract_contents(routed_design(ECP5, FILES[:1]), columns)
    with pytest.raises(UserError, match="block RAM 3 of the bitstream has 1 words"):
        extract_contents(".bram_init 3\n1ff\n", columns)
    with pytest.raises(UserError, match="map of the memory columns cannot be read"):
        ColumnMap.from_json("{}")


@pytest.mark.parametrize(
    ("files", "columns", "message"),
    [
        ([["a.mem", 8, 1 << 40]], [], "image a.mem of 1099511627776 words"),
        ([["a.mem", 0, 256]], [], "image a.mem of 256 words of 0 bits"),
        ([["a.mem", 8, 256]], [["0", 9, 0, "b.mem", 0, 0]], "a column of b.mem"),
        ([["a.mem", 8, 256]], [["0", 9, 0, "a.mem", 8, 0]], "bit 8, word 0, which is in no image"),
        ([["a.mem", 8, 256]], [["0", 9, 0, "a.mem", 7, -256]], "bit 7, word -256, which is in no image"),
        ([["a.mem", 8, 256]], [["0", 8, 0, "a.mem", 7, 0]], "lane 0 of a port of 8 bits"),
        ([["a.mem", 8, 256]], [["0", 9, 9, "a.mem", 7, 0]], "lane 9 of a port of 9 bits"),
    ],
)
def test_a_map_that_no_build_has_written_is_refused(files: list[Any], columns: list[Any], message: str) -> None:
    text = json.dumps({"format": "egru-columns", "version": 1, "family": "ecp5", "files": files, "columns": columns})
    with pytest.raises(UserError, match=message):
        ColumnMap.from_json(text)


def test_signatures_are_the_same_every_time_and_no_two_columns_are_alike() -> None:
    files = [ImageFile(f"m{number}.mem", 36, 256) for number in range(40)]
    columns = [np.array([word >> bit & 1 for word in signature(file)]).tobytes() for file in files for bit in range(file.bits)]
    assert len(set(columns)) == len(columns)
    assert signature(files[3]) == signature(ImageFile("m3.mem", 36, 256))
