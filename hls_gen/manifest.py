"""The manifest of a generated folder: what it was made of, and the SHA-256 of every file in it."""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hls_gen.board import BOARDS_FOLDER
from hls_gen.hardware_config import HardwareConfig
from hls_gen.render import TEMPLATE_FOLDER
from sw_model.errors import UserError
from sw_model.input_file import read_bytes
from sw_model.quantized_model import QuantizedModel
from sw_model.version import __version__

MANIFEST_FILE = "manifest.json"
REMEDY = "generate the folder again"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: A path that does not leave its folder: no part of it begins with a dot.
InnerPath = Annotated[str, Field(pattern=r"^\w[\w-]*(\.[\w-]+)*(/\w[\w-]*(\.[\w-]+)*)*$", max_length=200)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Generator(_Section):
    """What wrote the folder: the version of this package, and the hash of all sources and templates that generate."""

    version: str
    sha256: Sha256


class Manifest(_Section):
    """What stands in manifest.json.

    Attributes:
        format: Always the same.
        version: Of this description.
        generator: What wrote the folder.
        model_hash: Content hash of the model.
        hardware: Hardware configuration.
        board: Name of the board; none for a core alone.
        core_mhz: The core's clock: that of the board, or the one that HLS is asked for.
        stimulus: What the testbench shows the core.
        files: SHA-256 of every other file, by its path in the folder.
    """

    format: Literal["egru-generated"] = "egru-generated"
    version: Literal[1] = 1
    generator: Generator
    model_hash: Sha256
    hardware: dict[str, Any]
    board: str | None
    core_mhz: float | None
    stimulus: str
    files: dict[InnerPath, Sha256]


@cache
def generator() -> Generator:
    """Describe this generator; an installation and a checkout of the same sources give the same."""
    root = Path(__file__).resolve().parent.parent
    folders = (root / "hls_gen", root / "sw_model", TEMPLATE_FOLDER, BOARDS_FOLDER)
    # Compiled Python is no source.
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return Generator(version=__version__, sha256=hash_files(root, files))


def hash_files(root: Path, files: Iterable[Path]) -> str:
    """Return the SHA-256 of the names below ``root`` and contents of ``files``, in whatever order they come."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in ``folder`` but the manifest, by its path there."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    hashes = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    return {name: value for name, value in hashes.items() if name != MANIFEST_FILE}


def seal(
    folder: Path, model: QuantizedModel, config: HardwareConfig, *, board: str | None, core_mhz: float | None, stimulus: str
) -> Manifest:
    """Write the manifest of ``folder``, which holds everything else by now, and return it; the arguments are as in `Manifest`."""
    manifest = Manifest(
        generator=generator(),
        model_hash=model.content_hash(),
        hardware=config.model_dump(mode="json"),
        board=board,
        core_mhz=core_mhz,
        stimulus=stimulus,
        files=file_hashes(folder),
    )
    write_manifest(manifest, folder)
    return manifest


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write ``manifest`` into ``folder``."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True)
    (folder / MANIFEST_FILE).write_text(text + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of ``folder``.

    Raises:
        UserError: When there is none, or it is not one.
    """
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        raise UserError(f"folder {folder}", f"holds no {MANIFEST_FILE}", "give a folder that egru generate wrote")
    data = read_bytes(path, "manifest", REMEDY)
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the top level"
        raise UserError(f"manifest {path}", f"is wrong at {where}: {first['msg']}", REMEDY) from None


def differences(folder: Path) -> list[str]:
    """Compare ``folder`` with its manifest.

    Returns:
        One line for each file that was changed or is gone, by name. Files that were added (builds, notes) are not looked at.

    Raises:
        UserError: When the manifest cannot be read.
    """
    folder, found = Path(folder), []
    for name, expected in sorted(read_manifest(folder).files.items()):
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is gone")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            found.append(f"{name} was changed")
    return found
