"""`egru verify`: whether a generated folder is as it was generated."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from egru.output import CheckFailedError, print_json


def verify(
    generated: Annotated[Path, typer.Argument(help="Folder that `egru generate` wrote.")],
    json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Compare a generated folder with its manifest. Exit code 1 when a file was changed or is gone; added files are not looked at."""
    from hls_gen.manifest import differences, generator, read_manifest

    manifest, changes = read_manifest(generated), differences(generated)
    same_generator = manifest.generator == generator()
    if json:
        print_json({**manifest.model_dump(mode="json", exclude={"files"}), "same_generator": same_generator, "changes": changes})
    else:
        table = Table("model", "board", "files", "generator", "changes", title=str(generated))
        origin = f"{manifest.generator.version}, {'this one' if same_generator else 'another'}"
        table.add_row(manifest.model_hash[:12], manifest.board or "none", str(len(manifest.files)), origin, "\n".join(changes) or "none")
        Console().print(table)
    if changes:
        raise CheckFailedError(f"{generated}: {'; '.join(changes)}")
