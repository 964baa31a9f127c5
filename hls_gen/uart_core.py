"""The core of one model behind a serial line: the module that the top of a UART board connects to its pins."""

from hls_gen.render import render
from sw_model.quantized_model import QuantizedModel

UART_CORE_MODULE = "egru_uart_core"
UART_CORE_TEMPLATE = "uart_core.sv.j2"


def render_uart_core(model: QuantizedModel) -> str:
    """Return the SystemVerilog of `egru_uart_core`, which holds `egru_uart_bridge` and ``model``'s `egru_top`."""
    return render(UART_CORE_TEMPLATE, classes=model.classes, value_bits=model.formats.event_bits if model.channels else 0)
