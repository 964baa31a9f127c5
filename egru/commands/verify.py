"""`egru verify`: whether a generated folder is as it was generated, and whether HLS C++ in it can still be synthesised."""

from dataclasses import asdict
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
    """Compare a generated folder with its manifest; in one for HLS also find C++ that no HLS compiler takes, in added files too.

    Exit code 1 when a file was changed or is gone, or something cannot be synthesised. Other files that were added are not looked at.
    """
    from hls_gen.hls_backend import HLS_FOLDER, check_folder
    from hls_gen.manifest import differences, generator, read_manifest

    manifest, changes = read_manifest(generated), differences(generated)
    same_generator = manifest.generator == generator()
    findings = check_folder(generated) if (generated / HLS_FOLDER).is_dir() else []
    if json:
        contents = manifest.model_dump(mode="json", exclude={"files"})
        print_json({**contents, "same_generator": same_generator, "changes": changes, "not_synthesisable": [*map(asdict, findings)]})
    else:
        table = Table("model", "board", "files", "generator", "changes", title=str(generated))
        origin = f"{manifest.generator.version}, {'this one' if same_generator else 'another'}"
        table.add_row(manifest.model_hash[:12], manifest.board or "none", str(len(manifest.files)), origin, "\n".join(changes) or "none")
        console = Console(markup=False)
        console.print(table)
        for finding in findings:
            console.print(str(finding), soft_wrap=True, markup=False, highlight=False)
    problems = [*changes, *(f"{finding.file}:{finding.line}: {finding.construct} cannot be synthesised" for finding in findings)]
    if problems:
        raise CheckFailedError(f"{generated}: {'; '.join(problems)}")
