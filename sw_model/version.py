"""The version of this package."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("egru-fpga")
except PackageNotFoundError:  # run from the sources without an installation
    __version__ = "0+uninstalled"
