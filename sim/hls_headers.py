"""Where the C++ headers of HLS are, which C simulation compiles with; none of them is part of this project."""

import hashlib
import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hls_gen.bambu import COMPILER
from sw_model.errors import UserError

HEADERS = ("ap_int.h", "hls_stream.h")
INCLUDE_VARIABLE = "EGRU_HLS_INCLUDE"
#: What AMD's settings script sets: the installation folder.
VENDOR_VARIABLES = ("XILINX_HLS", "XILINX_VITIS")
VENDOR_PROGRAM, PACKAGE = "vitis_hls", "hls4ml"
_IN_BAMBU = Path("share/panda/ac_types/include")
_IN_PACKAGE = Path("templates/vivado/ap_types")
# Files that a build depends on: Vitis keeps thousands of others beside them.
_FAMILIES = ("ap_*", "ac_*", "hls_stream*", "etc/*")
_REMEDY = f"pip install {PACKAGE}, which carries AMD's, or set {INCLUDE_VARIABLE} to the include folder of Vitis HLS or Bambu"


@dataclass(frozen=True)
class Headers:
    """Headers as they were found.

    Attributes:
        folder: The include folder.
        source: Who said that they are there: an environment variable, a program or a package.
    """

    folder: Path
    source: str

    def digest(self) -> str:
        """Return the SHA-256 of the headers' names and texts, wherever they are."""
        paths = {path for family in _FAMILIES for path in self.folder.glob(f"{family}.h")}
        hashed = hashlib.sha256()
        for path in sorted(paths):
            hashed.update(f"{path.relative_to(self.folder)}\0".encode() + path.read_bytes())
        return hashed.hexdigest()


def find_headers() -> Headers:
    """Find the headers: a user's own win over the package's.

    In this order: the folder in EGRU_HLS_INCLUDE, Vitis HLS by XILINX_HLS or XILINX_VITIS, ``vitis_hls`` on PATH, ``bambu`` on PATH, the
    package hls4ml (which is not imported).

    Raises:
        UserError: When they are nowhere, or not where EGRU_HLS_INCLUDE says.
    """
    chosen = os.environ.get(INCLUDE_VARIABLE)
    if chosen:
        folder = Path(chosen).absolute()
        if not _complete(folder):
            raise UserError(
                f"{INCLUDE_VARIABLE}={chosen}", f"holds no {' and '.join(HEADERS)}", "name an include folder that does, or unset it"
            )
        return Headers(folder, INCLUDE_VARIABLE)
    for found in _candidates():
        if _complete(found.folder):
            return found
    raise UserError(f"C++ headers of HLS ({', '.join(HEADERS)})", "are not found", _REMEDY)


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in HEADERS)


def _candidates() -> Iterator[Headers]:
    for variable in VENDOR_VARIABLES:
        if os.environ.get(variable):
            yield Headers(Path(os.environ[variable]).absolute() / "include", variable)
    for program, place in ((VENDOR_PROGRAM, Path("include")), (COMPILER, _IN_BAMBU)):
        path = shutil.which(program)
        if path:
            yield Headers(Path(path).resolve().parent.parent / place, program)
    package = importlib.util.find_spec(PACKAGE)
    for folder in (package and package.submodule_search_locations) or ():
        yield Headers(Path(folder) / _IN_PACKAGE, PACKAGE)
