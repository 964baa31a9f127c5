"""What generated sources are written in."""

from enum import StrEnum


class Backend(StrEnum):
    """A language of generated sources; `egru generate` has one writer for each."""

    RTL = "rtl"
    HLS = "hls"

    @property
    def folder_format(self) -> str:
        """What ``hardware.json`` of a generated folder has as its format."""
        return f"egru-{self.value}"

    @property
    def language(self) -> str:
        """Its name for people."""
        return {Backend.RTL: "SystemVerilog", Backend.HLS: "HLS C++"}[self]

    @classmethod
    def of_format(cls, folder_format: object) -> "Backend":
        """Return the backend that writes this format.

        Raises:
            ValueError: When there is none.
        """
        for backend in cls:
            if backend.folder_format == folder_format:
                return backend
        raise ValueError(f"{folder_format!r} is the format of no backend")
