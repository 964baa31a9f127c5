"""A Tcl interpreter (Python's own) for generated scripts: the vendor's commands are stubs that record calls, and refuse what they must."""

from pathlib import Path
from typing import Any

import pytest

tkinter = pytest.importorskip("tkinter", reason="the generated Tcl is executed by Python's own Tcl, which this Python lacks")


class RefusedError(Exception):
    """What a stub does not accept; becomes an error of Tcl."""


class StubbedTcl:
    """Executes generated Tcl; the command ``x::y`` of a subclass is its method ``do_x_y``, or does nothing.

    Attributes:
        folder: The generated folder.
        calls: Every call of a stub: its name and its arguments.
        tcl: The interpreter.
    """

    COMMANDS: tuple[str, ...] = ()

    def __init__(self, folder: Path, arguments: str = "") -> None:
        self.folder = folder
        self.calls: list[tuple[str, ...]] = []
        self.tcl = tkinter.Tcl()
        self.tcl.setvar("argv", arguments)
        self.tcl.createcommand("stub", self._dispatch)
        # A Python function cannot raise an error of Tcl: the procedure around it does.
        self.tcl.eval("proc call args { set ::refused {}; stub {*}$args; if {$::refused ne {}} { error $::refused }; set ::value }")
        for name in self.COMMANDS:
            space = name.rpartition("::")[0]
            if space:
                self.tcl.eval(f"namespace eval {space} {{}}")
            self.tcl.eval(f"interp alias {{}} {name} {{}} call {name}")

    def source(self, file: str) -> None:
        self.tcl.call("source", str(self.folder / file))

    def names(self) -> list[str]:
        """The commands in the order of their calls, without the questions."""
        return [call[0] for call in self.calls if not call[0].startswith(("get_", "current_"))]

    def _dispatch(self, name: str, *arguments: str) -> None:
        self.calls.append((name, *arguments))
        value: Any = ""
        try:
            value = getattr(self, "do_" + name.replace("::", "_"), self._nothing)(*arguments)
        except RefusedError as refusal:
            self.tcl.globalsetvar("refused", f"{name}: {refusal}")
        self.tcl.globalsetvar("value", "" if value is None else value)

    def _nothing(self, *_arguments: str) -> None: ...

    def _list(self, text: Any) -> list[str]:
        return [str(item) for item in self.tcl.splitlist(text)]

    def _option(self, arguments: tuple[str, ...], name: str) -> str:
        if name not in arguments:
            raise RefusedError(f"{name} is missing")
        return arguments[arguments.index(name) + 1]

    def _existing(self, names: list[str]) -> list[Path]:
        for name in names:
            if not Path(name).is_file():
                raise RefusedError(f"file {name} does not exist")
        return [Path(name) for name in names]
