"""The front door: command line, the flow from one stage to the next, the report."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("egru-fpga")
except PackageNotFoundError:  # run from the sources without an installation
    __version__ = "0+uninstalled"
