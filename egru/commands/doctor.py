"""`egru doctor`: which tools were found, which versions, and what is missing."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from egru import __version__
from egru.output import print_json
from egru.tools import Status, Tool, inspect_tools

STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.MISSING: "red"}


def doctor(json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False) -> int:
    """Say which tools were found, which versions, and what is missing. Exit code 1 when something required is missing."""
    tools = inspect_tools()
    healthy = all(tool.status is not Status.MISSING for tool in tools if tool.required)
    if json:
        print_json({"egru": __version__, "healthy": healthy, "tools": [tool.as_dict() for tool in tools]})
    else:
        _show(tools, healthy)
    return 0 if healthy else 1


def _show(tools: list[Tool], healthy: bool) -> None:
    console = Console()
    table = Table("tool", "status", "version", "remedy", title=f"egru {__version__}")
    for tool in tools:
        status = f"{tool.status}" if tool.required else f"{tool.status} (optional)"
        table.add_row(tool.name, f"[{STYLES[tool.status]}]{status}[/]", tool.version, tool.remedy)
    console.print(table)
    console.print("Everything required is here." if healthy else "Something required is missing: see the remedies above.")
