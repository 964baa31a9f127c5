"""A build whose weights may be swapped: signatures before synthesis, the model after routing. The first model gets there as all others do.

What a later swap needs stays in the build's folder ``swap/``: the routed design with the signatures, the map of its columns, and
`hardware.json`.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hls_gen.bitstream_memory import (
    MAX_BITS,
    MAX_WORDS,
    BitstreamFamily,
    ColumnMap,
    ImageFile,
    find_columns,
    replace_contents,
    signature,
)
from hls_gen.board import Board, Toolchain
from hls_gen.memory_image import MemoryImage, format_words, image_slices, parse_words
from hls_gen.rtl_backend import HARDWARE_FILE, MEMORY_FOLDER
from sw_model.errors import UserError
from sw_model.input_file import read_json, read_text

SWAP_FOLDER = "swap"
COLUMNS_FILE = "columns.json"
ROUTED_FILE = "routed.txt"
#: Far above what the largest part of either family takes: its routed design, and the contents of its block RAMs.
MAX_ROUTED_BYTES, MAX_MEMORY_BITS = 1 << 28, 1 << 24
FAMILIES = {Toolchain.ECP5: BitstreamFamily.ECP5, Toolchain.ICE40: BitstreamFamily.ICE40}


@dataclass(frozen=True)
class SwappableBuild:
    """What is known of a build's memories before it is routed.

    Attributes:
        generated: The generated folder.
        family: Of the device.
        files: All memory image files.
    """

    generated: Path
    family: BitstreamFamily
    files: tuple[ImageFile, ...]


def begin(generated: Path, board: Board, work: Path) -> SwappableBuild | None:
    """Put signatures in the place of the memory images in ``work``; return None when the weights are not to be swapped.

    Raises:
        UserError: When they are, but not on this board.
    """
    path = generated / HARDWARE_FILE
    hardware = _read_hardware(path) if path.is_file() else {}
    if hardware.get("config", {}).get("weights") != "swappable":
        return None
    if board.toolchain not in FAMILIES:
        remedy = "generate with --weights loadable or fixed, or use a board with an ECP5 or iCE40"
        raise UserError(f"board {board.name} ({board.toolchain})", "has a bitstream in which weights cannot be swapped", remedy)
    files = image_files(hardware)
    for file in files:
        (work / MEMORY_FOLDER / file.name).write_text(format_words(signature(file), file.bits))
    return SwappableBuild(generated, FAMILIES[board.toolchain], files)


def finish(swappable: SwappableBuild, work: Path, routed_file: str) -> None:
    """Find the signatures in the routed design, keep it in ``swap/``, and put the model's images there and in ``work``.

    Raises:
        UserError: When a part of a memory is not found, or an image of the generated folder is damaged.
    """
    routed = (work / routed_file).read_text()
    columns = find_columns(swappable.family, routed, swappable.files)
    folder = work / SWAP_FOLDER
    folder.mkdir()
    (folder / ROUTED_FILE).write_text(routed)
    (folder / COLUMNS_FILE).write_text(columns.to_json())
    shutil.copyfile(swappable.generated / HARDWARE_FILE, folder / HARDWARE_FILE)
    (work / routed_file).write_text(replace_contents(routed, columns, read_words(swappable.generated / MEMORY_FOLDER, swappable.files)))
    for file in swappable.files:
        shutil.copyfile(swappable.generated / MEMORY_FOLDER / file.name, work / MEMORY_FOLDER / file.name)


@dataclass(frozen=True)
class SwapFolder:
    """What `finish` kept.

    Attributes:
        hardware: `hardware.json` of the first model.
        columns: Where the images lie.
        routed: The routed design.
    """

    hardware: dict[str, Any]
    columns: ColumnMap
    routed: str


def read_swap_folder(build: Path) -> SwapFolder:
    """Read what the build in folder ``build`` kept.

    Raises:
        UserError: When it kept nothing, or something is damaged.
    """
    folder = build / SWAP_FOLDER
    if not folder.is_dir():
        remedy = "give a folder that egru build made of a design generated with --weights swappable"
        raise UserError(f"folder {build}", f"holds no {SWAP_FOLDER}/", remedy)
    remedy = "build the design again"
    hardware = _read_hardware(folder / HARDWARE_FILE)
    columns = ColumnMap.from_json(read_text(folder / COLUMNS_FILE, "file", remedy))
    if columns.files != image_files(hardware):
        raise UserError(f"file {folder / COLUMNS_FILE}", f"names other memories than {HARDWARE_FILE}", remedy)
    return SwapFolder(hardware, columns, read_text(folder / ROUTED_FILE, "file", remedy, MAX_ROUTED_BYTES))


def _read_hardware(path: Path) -> dict[str, Any]:
    remedy = "generate and build the design again"
    hardware = read_json(path, "file", remedy)
    if not isinstance(hardware, dict) or not isinstance(hardware.get("config"), dict):
        raise UserError(f"file {path}", "is missing, truncated or altered", remedy)
    return hardware


def image_files(hardware: Mapping[str, Any]) -> tuple[ImageFile, ...]:
    """Return the files of all memory images that `hardware.json` lists.

    Raises:
        UserError: When it is damaged, or a name would lead out of the folder.
    """
    try:
        memories = [(str(memory["name"]), int(memory["bits"]), int(memory["depth"])) for memory in hardware["memories"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError("hardware.json", "lists no memories", "generate the folder again") from None
    for name, bits, depth in memories:
        if not (re.fullmatch(r"\w+", name) and 1 <= bits <= MAX_BITS and 1 <= depth <= MAX_WORDS):
            raise UserError(
                f"memory {name!r} of {depth} words of {bits} bits in hardware.json", "is none of ours", "generate the folder again"
            )
    bits = sum(bits * depth for _, bits, depth in memories)
    if bits > MAX_MEMORY_BITS:
        raise UserError(f"memories of {bits} bits in hardware.json", f"exceed {MAX_MEMORY_BITS}", "generate the folder again")
    return tuple(ImageFile(file, width, depth) for name, bits, depth in memories for file, _, width in image_slices(name, bits, depth))


def image_words(memories: Iterable[MemoryImage]) -> dict[str, list[int]]:
    """Return the words of every file of ``memories``."""
    return {name: parse_words(text) for image in memories for name, text in image.files().items()}


def read_words(folder: Path, files: Iterable[ImageFile]) -> dict[str, list[int]]:
    """Read the memory images in ``folder``.

    Raises:
        UserError: When a file is missing or is none.
    """
    found = {}
    for file in files:
        text = read_text(folder / file.name, "memory image", "generate the folder again")
        try:
            found[file.name] = parse_words(text)
        except ValueError:
            raise UserError(f"memory image {folder / file.name}", "is damaged", "generate the folder again") from None
        if len(found[file.name]) != file.depth or min(found[file.name]) < 0 or max(found[file.name]) >> file.bits:
            raise UserError(f"memory image {folder / file.name}", "is not what hardware.json says", "generate the folder again")
    return found
