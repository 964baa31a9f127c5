"""Fuzzes as many configurations as the evidence asks for: ``python -m benchmarks.fuzzing``.

The work is cut into portions, each with a seed of its own, and the result file is written after each: a run that is stopped goes on where
it was. Portions are dropped when what they compared has changed.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, read_results, write_results
from egru.fuzzing import FuzzSettings, run_fuzz
from egru.output import print_json, progress_console
from hls_gen.backend import Backend
from sim.build_cache import PACKAGE_ROOT
from sim.fuzz_case import Counts

RESULT_FILE = Path("benchmarks/results/fuzz.json")
WORK = Path("build/fuzz")
#: Hardware, portions, and configurations of each. With both, one configuration in eight goes through HLS too, where each is compiled.
PORTIONS: tuple[tuple[tuple[Backend, ...], int, int], ...] = (((Backend.RTL, Backend.HLS), 25, 40), ((Backend.HLS,), 10, 25))
#: A portion has its number of configurations, however long that takes.
NO_LIMIT = 1e6
#: What decides whether hardware and reference agree.
COMPARED = ("rtl_templates", "sw_model/fixed_point.py", "sw_model/reference.py")


class Portion(BaseModel):
    """One run of the fuzzer."""

    seed: int
    backends: tuple[Backend, ...]
    counts: Counts
    mismatches: int
    seconds: float


class Results(BaseModel):
    """All portions, and the SHA-256 of the sources that they compared."""

    sources: str
    portions: list[Portion] = []

    def total(self) -> Counts:
        """Return the sum of the portions."""
        total = Counts()
        for portion in self.portions:
            total.add(portion.counts)
        return total

    @property
    def mismatches(self) -> int:
        """How many configurations differed."""
        return sum(portion.mismatches for portion in self.portions)


def compared_sources() -> str:
    """Return the SHA-256 of `COMPARED`, names and contents."""
    found = hashlib.sha256()
    for name in COMPARED:
        place = PACKAGE_ROOT / name
        files = sorted(file for file in place.rglob("*") if file.is_file() and file.suffix != ".pyc") if place.is_dir() else [place]
        for file in files:
            found.update(f"{file.relative_to(PACKAGE_ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def wanted() -> Iterator[FuzzSettings]:
    """Yield every portion; the seed is its number."""
    seed = 0
    for backends, count, configurations in PORTIONS:
        for _ in range(count):
            seed += 1
            yield FuzzSettings(NO_LIMIT, seed, configurations, backends)


def fuzz(settings: FuzzSettings, work: Path) -> Portion:
    """Run one portion; configurations that differ are saved in ``work``."""
    report = run_fuzz(settings, work, force=True)
    return Portion(
        seed=settings.seed, backends=settings.backends, counts=report.counts, mismatches=len(report.saved), seconds=report.seconds
    )


def summary(results: Results) -> str:
    """Return the sum of the portions in a line."""
    total = results.total()
    compared = ", ".join(f"{name} {count:,}" for name, count in sorted(total.compared.items()))
    return (
        f"{total.configurations:,} configurations, {results.mismatches} mismatches; compared: {compared}; "
        f"{total.steps:,} steps, {total.events:,} events, {total.stalls:,} stalls, {total.saturations:,} saturations"
    )


def main(
    jobs: Annotated[int, typer.Option(help="Processes side by side.", min=1)] = 2,
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    work: Annotated[Path, typer.Option(help="Folder for configurations that differ.")] = WORK,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result to stdout.")] = False,
) -> None:
    """Fuzz what is not fuzzed yet; the exit code is 1 when a configuration differs."""
    with errors_to_exit_codes():
        sources = compared_sources()
        known = read_results(out, Results)
        results = known if known is not None and known.sources == sources else Results(sources=sources)
        done = {(portion.seed, portion.backends) for portion in results.portions}
        for settings in wanted():
            if (settings.seed, settings.backends) not in done:
                portion = fuzz(FuzzSettings(settings.seconds, settings.seed, settings.configurations, settings.backends, jobs), work)
                results = results.model_copy(update={"portions": [*results.portions, portion]})
                write_results(results, out)
                progress_console.print(summary(results), soft_wrap=True, highlight=False)
        if as_json:
            print_json(results.model_dump(mode="json"))
        progress_console.print(summary(results), soft_wrap=True, highlight=False)
    if results.mismatches:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
