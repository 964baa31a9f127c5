"""The vendor's flow: every file that Vivado and a processor board need beside the RTL, from the templates under rtl_templates/vivado.

Vivado is not run here. A board with a serial line is built without a project, from the RTL and the pins to the bitstream; a board with a
processor by packaging the core as an IP, drawing the block design around it (DMA, interrupts, clock, addresses) and building that.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hls_gen.board import TOP_MODULE as BOARD_MODULE
from hls_gen.board import Board, Toolchain, UartLink
from hls_gen.ip_xact import (
    ADDRESS_BLOCK,
    ADDRESS_BYTES,
    DISPLAY_NAME,
    IP_MODULE,
    LIBRARY,
    MEMORY_MAP,
    VENDOR,
    VERSION,
    Interface,
    component_xml,
    gather_interfaces,
    parse_ports,
    register_fields,
    register_words,
)
from hls_gen.registers import COUNTERS, DEVICE_ID, DEVICE_VERSION
from hls_gen.render import TEMPLATE_FOLDER, render
from hls_gen.rtl_backend import MEMORY_FOLDER, RTL_FOLDER, TOP_MODULE, GeneratedRtl
from sw_model.errors import UserError
from sw_model.quantized_model import QuantizedModel

SCRIPT_FOLDER = "scripts"
DESIGN_SCRIPT = f"{SCRIPT_FOLDER}/design.tcl"
BUILD_SCRIPT = f"{SCRIPT_FOLDER}/build.tcl"
PACKAGE_SCRIPT = f"{SCRIPT_FOLDER}/package_ip.tcl"
BLOCK_DESIGN_SCRIPT = f"{SCRIPT_FOLDER}/block_design.tcl"
COMPONENT_FILE = "component.xml"
OVERLAY_CLASS_FILE = "overlay.py"
OVERLAY_NAME = "egru"
OVERLAY_FILE = f"{OVERLAY_NAME}.json"
OVERLAY_FORMAT, OVERLAY_VERSION = "egru-overlay", 1
BLOCK_DESIGN = "egru_system"
#: Where the scripts leave what they make, in the generated folder.
OUTPUT_FOLDER = "build"

MAX_LENGTH_BITS = 26  # of a DMA transfer: as wide as AXI DMA makes its length register
MEMORY_WIDTH = 32


@dataclass(frozen=True)
class Processor:
    """The processing system of a device family, as a cell of the block design.

    Attributes:
        ip: Its IP.
        rule: The automation rule that applies the board's preset.
        automation: What the rule is told.
        clock: Parameter that sets the fabric clock in MHz.
        parameters: The other parameters: ports and interrupts in use.
        control: Interface that reaches the registers, and its clock.
        memory: Interface that reaches the memory, and its clock.
        clock_pin: The fabric clock.
        reset_pin: The fabric reset, active low.
        interrupt_pin: Interrupt from the fabric.
        registers_at: Address of the first register window.
        address_bits: Of the memory, as the DMA counts.
    """

    ip: str
    rule: str
    automation: str
    clock: str
    parameters: tuple[tuple[str, int], ...]
    control: tuple[str, str]
    memory: tuple[str, str]
    clock_pin: str
    reset_pin: str
    interrupt_pin: str
    registers_at: int
    address_bits: int


PROCESSORS = {
    "zynq7": Processor(
        ip="processing_system7",
        rule="xilinx.com:bd_rule:processing_system7",
        automation='make_external "FIXED_IO, DDR" apply_board_preset 1 Master Disable Slave Disable',
        clock="PCW_FPGA0_PERIPHERAL_FREQMHZ",
        parameters=(
            ("PCW_EN_CLK0_PORT", 1),
            ("PCW_EN_RST0_PORT", 1),
            ("PCW_USE_M_AXI_GP0", 1),
            ("PCW_USE_S_AXI_HP0", 1),
            ("PCW_USE_FABRIC_INTERRUPT", 1),
            ("PCW_IRQ_F2P_INTR", 1),
        ),
        control=("M_AXI_GP0", "M_AXI_GP0_ACLK"),
        memory=("S_AXI_HP0", "S_AXI_HP0_ACLK"),
        clock_pin="FCLK_CLK0",
        reset_pin="FCLK_RESET0_N",
        interrupt_pin="IRQ_F2P",
        registers_at=0x4000_0000,
        address_bits=32,
    ),
    "zynqmp": Processor(
        ip="zynq_ultra_ps_e",
        rule="xilinx.com:bd_rule:zynq_ultra_ps_e",
        automation="apply_board_preset 1",
        clock="PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
        parameters=(
            ("PSU__FPGA_PL0_ENABLE", 1),
            ("PSU__NUM_FABRIC_RESETS", 1),
            ("PSU__USE__M_AXI_GP0", 1),
            ("PSU__USE__M_AXI_GP1", 0),
            ("PSU__USE__M_AXI_GP2", 0),
            ("PSU__USE__S_AXI_GP2", 1),
            ("PSU__USE__IRQ0", 1),
        ),
        control=("M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk"),
        memory=("S_AXI_HP0_FPD", "saxihp0_fpd_aclk"),
        clock_pin="pl_clk0",
        reset_pin="pl_resetn0",
        interrupt_pin="pl_ps_irq0",
        registers_at=0xA000_0000,
        address_bits=40,
    ),
}


def vivado_files(board: Board, core_mhz: float, model: QuantizedModel, generated: GeneratedRtl, sources: Sequence[str]) -> dict[str, str]:
    """Return the vendor's files of a generated folder; the same input gives the same text.

    Args:
        board: A board of toolchain ``vivado``.
        core_mhz: The clock that the core gets: the PLL's, or the one asked of the processor.
        model: What was generated.
        generated: Its RTL.
        sources: Names of all files in the folder's rtl/, the board's top included where it has one.

    Returns:
        Text by path in the generated folder. On a board with a processor a Verilog top for rtl/ is among them.

    Raises:
        UserError: When the board is none of Vivado's, or has neither a serial line nor a processor.
    """
    if board.toolchain is not Toolchain.VIVADO or board.vivado is None:
        raise UserError(f"board {board.name}", f"is built by toolchain '{board.toolchain}', not by Vivado", "use its own flow")
    memories = sorted(f"{MEMORY_FOLDER}/{name}" for image in generated.memories for name in image.files())
    if isinstance(board.link, UartLink):
        return _pins_files(board, core_mhz, [f"{RTL_FOLDER}/{name}" for name in sorted(sources)], memories)
    if board.vivado.processor not in PROCESSORS:
        raise UserError(f"board {board.name}", "has link 'axi-dma' but no processor", "set vivado.processor in its board.toml")
    return _overlay_files(
        board, core_mhz, model, generated, [f"{RTL_FOLDER}/{name}" for name in sorted({*sources, f"{IP_MODULE}.v"})], memories
    )


def build_command(script: str = BUILD_SCRIPT, *, allow_missed_timing: bool = False) -> tuple[str, ...]:
    """Return the command line, for the generated folder, that runs ``script``.

    Args:
        script: Of the files that `vivado_files` returns.
        allow_missed_timing: Whether a bitstream is written although the routed design is too slow; else that is an error.
    """
    options = ("-tclargs", "allow-missed-timing") if allow_missed_timing else ()
    return ("vivado", "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", script, *options)


def overlay_description(board: Board, core_mhz: float, model: QuantizedModel, generated: GeneratedRtl) -> dict[str, object]:
    """Return what overlay.py must know of the core: sizes, hash, and the addresses of all registers by name."""
    return {
        "format": OVERLAY_FORMAT,
        "version": OVERLAY_VERSION,
        "board": board.name,
        "core_mhz": core_mhz,
        "device_id": DEVICE_ID,
        "register_version": DEVICE_VERSION,
        "model_hash": model.content_hash(),
        "tokens": model.tokens,
        **_features(model),
        "classes": model.classes,
        "logit_frac": generated.plan.decoder.acc_frac,
        "max_transfer_bytes": (1 << MAX_LENGTH_BITS) - 1,
        "blocks": _block_names(generated),
        "counters": list(COUNTERS),
        "registers": {field.name: {"offset": field.offset, "words": field.words} for field in register_fields(_block_names(generated))},
    }


def _features(model: QuantizedModel) -> dict[str, object]:
    """Return what overlay.py must know of a model of features beside; Python reads back the very same numbers."""
    found = model.feature_input
    if found is None:
        return {}
    threshold = None if found.delta_threshold is None else found.delta_threshold.tolist()
    encoding = {"offset": found.offset.tolist(), "scale": found.scale.tolist(), "delta_threshold": threshold}
    return {"channels": model.channels, "event_bits": model.formats.event_bits, "encoding": encoding}


def _pins_files(board: Board, core_mhz: float, sources: list[str], memories: list[str]) -> dict[str, str]:
    return {
        DESIGN_SCRIPT: _design(board, core_mhz, BOARD_MODULE, sources, memories),
        BUILD_SCRIPT: _render(
            "build_pins.tcl.j2",
            title=board.title,
            command=" ".join(build_command()),
            constraints=board.constraints,
            bitstream=f"{BOARD_MODULE}.bit",
        ),
    }


def _overlay_files(
    board: Board, core_mhz: float, model: QuantizedModel, generated: GeneratedRtl, sources: list[str], memories: list[str]
) -> dict[str, str]:
    assert board.vivado is not None  # vivado_files has looked
    interfaces = gather_interfaces(parse_ports(TOP_MODULE, generated.sources[f"{TOP_MODULE}.sv"]))
    blocks = _block_names(generated)
    inputs = f"{model.channels} channels" if model.channels else f"{model.tokens} tokens"
    about = f"{DISPLAY_NAME}: {len(model.layers)} layers, {inputs}, {model.classes} classes, model {model.content_hash()}"
    command = " ".join(build_command())
    return {
        DESIGN_SCRIPT: _design(board, core_mhz, IP_MODULE, sources, memories),
        BUILD_SCRIPT: _render(
            "build_overlay.tcl.j2",
            title=board.title,
            command=command,
            overlay=OVERLAY_NAME,
            design=BLOCK_DESIGN,
            board_part=f"{board.vivado.board_part}:*",
            board_name=board.vivado.board_part,
            carrier=board.vivado.carrier,
            constraints=board.constraints,
        ),
        PACKAGE_SCRIPT: _render(
            "package_ip.tcl.j2",
            title=board.title,
            command=" ".join(build_command(PACKAGE_SCRIPT)),
            top=IP_MODULE,
            vendor=VENDOR,
            library=LIBRARY,
            version=VERSION,
            display_name=DISPLAY_NAME,
            description=about,
            memory_map=MEMORY_MAP,
            address_block=ADDRESS_BLOCK,
            address_range=ADDRESS_BYTES,
            words=register_words(register_fields(blocks)),
        ),
        BLOCK_DESIGN_SCRIPT: _block_design(board, core_mhz, interfaces),
        f"{RTL_FOLDER}/{IP_MODULE}.v": _wrapper(interfaces),
        COMPONENT_FILE: component_xml(interfaces, blocks, sources, memories, about),
        OVERLAY_CLASS_FILE: (TEMPLATE_FOLDER / "vivado" / OVERLAY_CLASS_FILE).read_text(),
        OVERLAY_FILE: json.dumps(overlay_description(board, core_mhz, model, generated), indent=1) + "\n",
    }


def _render(template: str, **values: object) -> str:
    return render(f"vivado/{template}", TEMPLATE_FOLDER, **values)


def _block_names(generated: GeneratedRtl) -> list[str]:
    return [block.name for block in generated.plan.blocks]


def _design(board: Board, core_mhz: float, top: str, sources: list[str], memories: list[str]) -> str:
    return _render("design.tcl.j2", title=board.title, part=board.part, core_mhz=core_mhz, top=top, sources=sources, memories=memories)


def _wrapper(interfaces: Sequence[Interface]) -> str:
    ports = []
    for interface in interfaces:
        for index, (signal, port) in enumerate(interface.ports):
            vector = f"[{port.bits - 1}:0] " if port.bits > 1 else ""
            parameters = ", ".join(f"{key} {value}" for key, value in interface.parameters)
            ports.append(
                {
                    "name": port.name,
                    "declaration": f"{port.direction}put wire {vector}{port.name}",
                    "interface": f"{interface.type.bus} {interface.name} {signal}",
                    "parameter": f"XIL_INTERFACENAME {interface.name}, {parameters}" if index == 0 else "",
                }
            )
    return _render("egru_ip.v.j2", top=IP_MODULE, core=TOP_MODULE, ports=ports)


def _block_design(board: Board, core_mhz: float, interfaces: Sequence[Interface]) -> str:
    assert board.vivado is not None  # vivado_files has looked
    processor = PROCESSORS[board.vivado.processor]
    by_name = {interface.name: interface for interface in interfaces}
    return _render(
        "block_design.tcl.j2",
        title=board.title,
        design=BLOCK_DESIGN,
        core_ip=IP_MODULE,
        processor=processor,
        processor_parameters=((processor.clock, core_mhz), *processor.parameters),
        dma_parameters=_dma_parameters(processor, by_name),
        interfaces=_interface_nets(processor),
        nets=_nets(processor),
        windows=_windows(processor),
    )


def _dma_parameters(processor: Processor, interfaces: dict[str, Interface]) -> tuple[tuple[str, int], ...]:
    return (
        ("c_include_sg", 0),
        ("c_sg_include_stscntrl_strm", 0),
        ("c_sg_length_width", MAX_LENGTH_BITS),
        ("c_addr_width", processor.address_bits),
        ("c_include_mm2s", 1),
        ("c_m_axi_mm2s_data_width", MEMORY_WIDTH),
        ("c_m_axis_mm2s_tdata_width", interfaces["s_axis"].bits("TDATA")),
        ("c_include_s2mm", 1),
        ("c_m_axi_s2mm_data_width", MEMORY_WIDTH),
        ("c_s_axis_s2mm_tdata_width", interfaces["m_axis"].bits("TDATA")),
    )


def _interface_nets(processor: Processor) -> tuple[tuple[str, str], ...]:
    return (
        ("dma/M_AXIS_MM2S", "egru/s_axis"),
        ("egru/m_axis", "dma/S_AXIS_S2MM"),
        (f"ps/{processor.control[0]}", "control/S00_AXI"),
        ("control/M00_AXI", "egru/s_axil"),
        ("control/M01_AXI", "dma/S_AXI_LITE"),
        ("control/M02_AXI", "interrupts/s_axi"),
        ("dma/M_AXI_MM2S", "memory/S00_AXI"),
        ("dma/M_AXI_S2MM", "memory/S01_AXI"),
        ("memory/M00_AXI", f"ps/{processor.memory[0]}"),
    )


def _nets(processor: Processor) -> tuple[tuple[str, tuple[str, ...]], ...]:
    clocked = (
        "egru/clk_i",
        "dma/s_axi_lite_aclk",
        "dma/m_axi_mm2s_aclk",
        "dma/m_axi_s2mm_aclk",
        "control/aclk",
        "memory/aclk",
        "interrupts/s_axi_aclk",
        "reset/slowest_sync_clk",
        f"ps/{processor.control[1]}",
        f"ps/{processor.memory[1]}",
    )
    return (
        (f"ps/{processor.clock_pin}", clocked),
        (f"ps/{processor.reset_pin}", ("reset/ext_reset_in",)),
        ("reset/peripheral_aresetn", ("egru/rst_ni", "dma/axi_resetn", "control/aresetn", "memory/aresetn", "interrupts/s_axi_aresetn")),
        ("dma/mm2s_introut", ("concat/In0",)),
        ("dma/s2mm_introut", ("concat/In1",)),
        ("egru/irq_o", ("concat/In2",)),
        ("concat/dout", ("interrupts/intr",)),
        ("interrupts/irq", (f"ps/{processor.interrupt_pin}",)),
    )


def _windows(processor: Processor) -> tuple[dict[str, object], ...]:
    """Return the register windows, one after the other; an AXI IP's own registers take 64 kbyte, the size that Vivado gives them."""
    window = 0x1_0000
    sizes = (("egru/s_axil", ADDRESS_BYTES), ("dma/S_AXI_LITE", window), ("interrupts/s_axi", window))
    return tuple(
        {"interface": name, "offset": f"0x{processor.registers_at + place * window:08X}", "range": f"0x{size:X}"}
        for place, (name, size) in enumerate(sizes)
    )
