"""Fuzzes every loader that a user's file reaches, and writes the page about it: ``make fuzz-loaders``.

The loaders stand in `benchmarks.loaders`, one run in `benchmarks.loader_fuzzer`. Needs the extra ``fuzz``.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, read_results, require_results, write_results
from egru.output import print_json, progress_bar, progress_console
from sw_model.errors import UserError
from sw_model.output_folder import write_whole

RESULT_FILE, PAGE = Path("benchmarks/results/robustness.json"), Path("docs/robustness.md")
FINDINGS = Path("runs/robustness")
#: Names of what the fuzzer saves: an exception, and what libFuzzer itself stops at.
SAVED = ("finding-", "timeout-", "oom-", "crash-", "slow-unit-")
STARTING_SECONDS = 120


class LoaderRun(BaseModel):
    """What came of one loader.

    Attributes:
        name: The loader.
        file: The file that was changed.
        seconds: Asked for.
        executions: Files that it was given.
        edges_at_start: Edges of this project's code that the valid file reaches.
        edges: Edges reached in the end.
        features: Edges told apart by how often they were taken, and comparisons, in the end.
        peak_mib: Most memory of the process, torch and the other libraries included.
        findings: Inputs that did what no loader may, by name.
    """

    name: str
    file: str
    seconds: int
    executions: int
    edges_at_start: int
    edges: int
    features: int
    peak_mib: int
    findings: list[str]


class Results(BaseModel):
    """All loaders, in the order of the table, and what they were fuzzed with."""

    fuzzer: str
    python: str
    loaders: list[LoaderRun]


def fuzz(name: str, file: str, seconds: int, findings: Path) -> LoaderRun:
    """Fuzz one loader in a process of its own.

    Raises:
        UserError: When the process did not get to its end, and left no input that says why.
    """
    findings.mkdir(parents=True, exist_ok=True)
    for old in _saved(findings):
        (findings / old).unlink()
        (findings / f"{old}.txt").unlink(missing_ok=True)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="egru-fuzz-", dir=memory if memory.is_dir() else None) as scratch:
        command = [sys.executable, "-m", "benchmarks.loader_fuzzer", name, str(seconds), str(findings), scratch]
        # One thread: torch's own would only wait for each other.
        done = subprocess.run(
            command,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds + STARTING_SECONDS,
        )
    log = done.stdout + done.stderr
    (findings / "log.txt").write_text(log)
    found = _saved(findings)
    states = re.findall(r"cov: (\d+) ft: (\d+)", log)
    executions = re.findall(r"^(?:#|stat::number_of_executed_units: )(\d+)", log, re.MULTILINE)
    if not states or (done.returncode and not found):
        raise UserError(f"fuzzing {name}", f"ended with status {done.returncode}", f"see {findings / 'log.txt'}")
    return LoaderRun(
        name=name,
        file=file,
        seconds=seconds,
        executions=int(executions[-1]),
        edges_at_start=int(states[0][0]),
        edges=int(states[-1][0]),
        features=int(states[-1][1]),
        peak_mib=max(map(int, re.findall(r"rss: (\d+)Mb", log))),
        findings=found,
    )


def _saved(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(SAVED) and not path.suffix)


def page(results: Results) -> str:
    """Return the page, Markdown."""
    rows = "".join(
        f"| {run.name} | `{run.file}` | {run.executions:,} | {_edges(run)} | {run.features:,} | {len(run.findings)} |\n"
        for run in results.loaders
    )
    seconds = sorted({run.seconds for run in results.loaders})
    total = sum(run.executions for run in results.loaders)
    shown = " or ".join(map(str, seconds))
    return (
        _HEAD
        + f"\n{results.fuzzer}, Python {results.python}, {shown} s for each loader, one process, {total:,} files in all.\n\n"
        + "| loader | file | files read | edges, first → last | features | findings |\n|---|---|---|---|---|---|\n"
        + rows
    )


def _edges(run: LoaderRun) -> str:
    return f"{run.edges_at_start} → {run.edges}"


_HEAD = """# Robustness

Whatever stands in a file that a user gives, a command either reads it or says in one line what is wrong: no traceback, no hang, no memory
for what is not there, no file touched outside the folders that were named. And at whatever moment a command is killed, its output folder
is absent, old and whole, or new and whole.

**Loaders.** `benchmarks/loaders.py` is the table of all that read a user's file: models, checkpoints, unfinished trainings, generated
folders, builds, boards, configurations, texts, saved cases, synthesis reports, and what comes from a serial line. `tests/robustness`
gives each of them files that hypothesis spoils: other types, huge and negative numbers, NaN, deep nesting, keys too many and too few, cut
files, names that lead out of the folder, shapes that would take terabytes, bytes that are no text. `make fuzz-loaders SECONDS=60`
searches further, guided by coverage; it writes this page from `benchmarks/results/robustness.json`, and keeps what it finds in
`runs/robustness/`. When a finding is mended, its input goes to `tests/robustness/inputs/`, and a test reads it from then on.

The fuzzer is [atheris](https://github.com/google/atheris), the extra `fuzz`: CPython 3.11 to 3.13 on Linux; nothing else here needs it.
Only the four packages are instrumented, not torch, numpy or pydantic. Three of ten inputs are changed byte by byte, the others by what
they mean: a value of a JSON or TOML file, the header of a tensor file. Hashes are made right again after a change, since a hash stops an
accident, not a writer.

**Limits.** Descriptions (JSON) 16 MiB and 64 levels, configurations (TOML) 16 KiB, texts 128 MiB unpacked, tensors of a model 2 GiB,
memories of a swappable design 16 Mbit, a routed design 256 MiB, a source 64 MiB, a wav file 64 MiB. A checkpoint's shapes are compared
before memory is taken for them. A device on a serial line that never stops talking is given up after the last attempt; what it says of
itself is checked before it is used.

**Kills.** `tests/robustness/test_kills.py` ends a writer at its first change of a file, at its second, and so on to the last, by Ctrl-C
and by a death after which nothing more is written, and looks at what is left; a few true SIGKILLs of the command line come on top.
Results are written into a folder `.<name>.<random>.partial` beside the output and exchanged with what was there in one step
(`renameat2`); where a file system cannot do that, the old folder is in the one beside for a moment. Such a folder is what a SIGKILL
leaves: nothing reads it, and where the output itself is there, it may be removed. Two commands write in place, by design, and can be
resumed: `egru demo`, whose stages are folders of their own and whose `summary.json` comes last, and `egru fuzz`, which saves each finding
whole. `egru demo --force` drops the earlier demo when it begins.

Not covered: a power cut (nothing is flushed to the disk), links inside a folder that somebody else controls while a command reads it, the
files of the installation itself, and board folders as programs: a template of a board is code.

## What was found, and is mended

Each of these has a test. Ctrl-C between the two renames of `--force` lost the old result and the new one. A stopped `egru simulate
--force` left half a folder; training that was killed between its last two acts could not be resumed. A checkpoint's manifest of a few
hundred bytes took terabytes, an xz file of 20 kB gigabytes, a capacity in a `hardware.json` likewise. A device that never stopped sending
was waited for without end; one that took 0 or 255 tokens in a request, or answered a class that there is not, ended in a traceback, and
so did deep or infinite TOML and JSON, a damaged map of memory columns, tensors of 70 dimensions, sources that are no text, a full disk,
and a folder named like markup. A key of thousands of parts took tomllib a minute, `a < b < c ...` the C++ check longer. The manifest of a
generated folder and a board could name files outside of it.

## What the fuzzer did
"""


def main(
    seconds: Annotated[int, typer.Option(help="For each loader.", min=1)] = 60,
    loader: Annotated[list[str] | None, typer.Option(help="Only this loader; again for more.")] = None,
    out: Annotated[Path, typer.Option(help="Result file; loaders that are not fuzzed keep what stands there.")] = RESULT_FILE,
    findings: Annotated[Path, typer.Option(help="Folder for inputs that a loader must not do what it does with, and for logs.")] = FINDINGS,
    report: Annotated[bool, typer.Option("--report", help="Only write the page from the committed results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the results to stdout.")] = False,
) -> None:
    """Fuzz the loaders; the exit code is 1 when one of them did what none may."""
    with errors_to_exit_codes():
        if report:
            write_whole(PAGE, page(require_results(RESULT_FILE, Results, "run make fuzz-loaders")))
            return
        runs = _fuzz_all(seconds, loader, out, findings)
    if out == RESULT_FILE:
        write_whole(PAGE, page(require_results(out, Results)))
    if as_json:
        print_json([run.model_dump(mode="json") for run in runs])
    found = [f"{run.name}: {findings / _folder(run.name) / name}" for run in runs for name in run.findings]
    for line in found:
        progress_console.print(line, soft_wrap=True, markup=False)
    progress_console.print(f"{len(runs)} loaders, {sum(run.executions for run in runs):,} files, {len(found)} findings")
    if found:
        raise typer.Exit(1)


def _fuzz_all(seconds: int, names: list[str] | None, out: Path, findings: Path) -> list[LoaderRun]:
    if importlib.util.find_spec("atheris") is None:
        raise UserError("the fuzzer atheris", "is not installed", "pip install -c constraints.txt -e '.[fuzz]', on CPython 3.11 to 3.13")
    from benchmarks.loaders import LOADERS

    files = {loader.name: loader.file for loader in LOADERS}
    chosen = names or list(files)
    if unknown := set(chosen) - files.keys():
        raise UserError(f"loader {min(unknown)}", "is not in the table", f"one of {', '.join(files)}")
    version = f"atheris {importlib.metadata.version('atheris')}"
    runs = []
    with progress_bar() as progress:
        for name in progress.track(chosen, description="fuzzing loaders"):
            runs.append(fuzz(name, files[name], seconds, findings / _folder(name)))
            # What is finished is kept at once: a run of all takes half an hour.
            old = read_results(out, Results)
            known = {run.name: run for run in old.loaders} if old else {}
            known[name] = runs[-1]
            ordered = [known[name] for name in files if name in known]
            write_results(Results(fuzzer=version, python=platform.python_version(), loaders=ordered), out)
    return runs


def _folder(name: str) -> str:
    return name.replace(" ", "_")


if __name__ == "__main__":
    typer.run(main)
