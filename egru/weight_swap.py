"""New weights in a finished bitstream: swapped in before the bitstream tool, and read back out of what it wrote."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egru.output import CheckFailedError
from egru.place_and_route import RESULT_FILE, ToolFlow
from hls_gen.bitstream_memory import ColumnMap, extract_contents, replace_contents
from hls_gen.board import Board, load_board
from hls_gen.board_flow import bitstream_file, bitstream_step, routed_file, unpack_step, unpacked_file
from hls_gen.rtl_backend import HARDWARE_FILE, MODEL_FOLDER, describe
from hls_gen.weight_image import generate_for
from hls_gen.weight_swap import image_words, read_swap_folder
from sw_model.errors import UserError
from sw_model.input_file import read_json
from sw_model.output_folder import require_free, staged_folder
from sw_model.quantized_model import QuantizedModel

SWAP_RESULT_FILE = "swap.json"


@dataclass(frozen=True)
class SwapResult:
    """What came out of a swap.

    Attributes:
        board: Name of the board.
        model_hash: Of the model that the bitstream now holds.
        memories: Memory image files that were put in, and read back.
        bitstream: File name in the output folder.
        bitstream_bytes: Its size.
    """

    board: str
    model_hash: str
    memories: int
    bitstream: str
    bitstream_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def swap(build: Path, model: QuantizedModel, out: Path, *, force: bool = False) -> SwapResult:
    """Make the bitstream of a build anew, with other weights and without placing and routing.

    Args:
        build: A folder that `egru build` made of a design with swappable weights.
        model: The new model.
        out: The output folder: the bitstream, the model, its `hardware.json`, and `swap.json`.
        force: Replace what ``out`` holds.

    Raises:
        UserError: When the build cannot take this model, or a tool fails.
        CheckFailedError: When the bitstream does not hold what was put in.
    """
    require_free(out, force=force)
    kept, (board, seed) = read_swap_folder(build), built(build)
    generated = generate_for(model, kept.hardware)
    images = image_words(generated.memories)
    with staged_folder(out, force=force) as work:
        flow = ToolFlow(work, out)
        (work / routed_file(board, seed)).write_text(replace_contents(kept.routed, kept.columns, images))
        flow.run(bitstream_step(board, seed))
        if _extract(flow, board, kept.columns) != images:
            raise CheckFailedError(f"the memories in {bitstream_file(board)} are not those of the model")
        model.save(work / MODEL_FOLDER)
        (work / HARDWARE_FILE).write_text(json.dumps(describe(model, generated), indent=1, sort_keys=True) + "\n")
        size = (work / bitstream_file(board)).stat().st_size
        result = SwapResult(board.name, model.content_hash(), len(images), bitstream_file(board), size)
        (work / SWAP_RESULT_FILE).write_text(json.dumps(result.as_dict(), indent=1) + "\n")
    return result


def extract(build: Path, bitstream: Path, scratch: Path) -> dict[str, list[int]]:
    """Read the memory images out of a bitstream.

    Args:
        build: The build that the bitstream comes from, by swapping or directly.
        bitstream: The file.
        scratch: An empty folder for the unpacked bitstream and the log.

    Returns:
        Words by file name.

    Raises:
        UserError: When the bitstream cannot be read, or is of another build.
    """
    kept, (board, _) = read_swap_folder(build), built(build)
    (scratch / bitstream_file(board)).write_bytes(bitstream.read_bytes())
    return _extract(ToolFlow(scratch, scratch), board, kept.columns)


def _extract(flow: ToolFlow, board: Board, columns: ColumnMap) -> dict[str, list[int]]:
    flow.run(unpack_step(board))
    unpacked = flow.work / unpacked_file(board)
    contents = extract_contents(unpacked.read_text(), columns)
    unpacked.unlink()
    return contents


def built(build: Path) -> tuple[Board, int]:
    """Return the board of a build, and the seed of its routing.

    Raises:
        UserError: When the build does not say.
    """
    path = build / RESULT_FILE
    remedy = "build the design again"
    result = read_json(path, "file", remedy)
    try:
        return load_board(result["board"]), int(result["seed"])
    except (ValueError, KeyError, TypeError, OverflowError):
        raise UserError(f"file {path}", "is damaged", remedy) from None
