"""The host's side of the accelerator: one class over exchangeable transports, see docs/host.md.

Names no transport's library before it is used: `import egru.host` needs neither pyserial nor pynq.
"""

from egru.host.accelerator import Accelerator, Counters, DeviceInfo
from egru.host.errors import LinkError, SessionLostError
from egru.host.serial_transport import SIMULATION_PATIENCE, Patience
from egru.host.transport import Answer, LinkStatistics, Transport, Word

__all__ = [
    "SIMULATION_PATIENCE",
    "Accelerator",
    "Answer",
    "Counters",
    "DeviceInfo",
    "LinkError",
    "LinkStatistics",
    "Patience",
    "SessionLostError",
    "Transport",
    "Word",
]
