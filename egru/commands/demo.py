"""`egru demo`: a real text through the whole flow."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from egru.output import print_json
from sw_model.errors import UserError


def demo(
    config: Annotated[Path | None, typer.Option(help="TOML file for the whole flow; the demo recipe if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/demo"),
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Train nothing: take the model that ships already trained.")] = False,
    data: Annotated[str | None, typer.Option(help="pydoc-topics, a text file, or a folder of splits.")] = None,
    board: Annotated[str | None, typer.Option(help="A folder under boards/.")] = None,
    no_build: Annotated[bool, typer.Option("--no-build", help="Stop after the proof: no synthesis, no bitstream.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished training of a demo that was stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what the output folder holds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the summary as JSON.")] = False,
) -> None:
    """Train, prune, quantise, generate, prove bit for bit, place and route, and show the figures."""
    from egru import pretrained as shipped
    from egru.flow import SUMMARY_FILE, run_demo
    from egru.flow_config import load_flow_config
    from egru.summary import summary_table

    model = None
    if pretrained:
        _refuse({"--config": config, "--data": data, "--resume": resume or None})
        model = shipped.load_pretrained(shipped.PRETRAINED)
        settings = shipped.pretrained_config(shipped.PRETRAINED, {"build.board": board})
    else:
        settings = load_flow_config(config, {"data.source": data, "build.board": board})
    summary = run_demo(settings, out, pretrained=model, force=force, resume=resume, with_build=not no_build)
    if json:
        print_json(summary.as_json())
        return
    console = Console(markup=False)
    console.print(summary_table(summary))
    console.print(f"everything is in {out}; the figures are in {out / SUMMARY_FILE}", soft_wrap=True)


def _refuse(options: dict[str, object]) -> None:
    """Refuse by name what a pretrained model settles."""
    for name, value in options.items():
        if value is not None:
            given = name if value is True else f"{name} {value}"
            raise UserError(
                f"--pretrained with {given}",
                "contradicts itself: that model has its recipe and text, and nothing is trained",
                f"leave out {name}, or --pretrained",
            )
