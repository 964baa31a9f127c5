"""Collects what stands behind the core, one page of five results: ``python -m benchmarks.evidence``.

``make evidence`` measures the five first.
"""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from benchmarks import coverage, fuzzing, mutants, proofs, robustness
from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from egru.output import print_json
from sim.proving import Status
from sw_model.errors import UserError
from sw_model.output_folder import write_whole

RESULT_FILE, PAGE = Path("benchmarks/results/evidence.json"), Path("docs/evidence.md")
WANTED_CONFIGURATIONS, WANTED_PER_ORACLE, WANTED_SCORE = 1000, 200, mutants.WANTED
WANTED_COVERAGE = coverage.TARGETS
MET, MISSED = "met", "**missed**"
#: What is held against the reference, by the name that `sim.fuzz_case` has for it.
ORACLES = {
    "batched": "through the reference of many streams",
    "fake-quantised": "through the fake-quantised network",
    "hls": "through HLS C simulation",
    "rtl": "through RTL in Verilator",
}


class Fuzz(BaseModel):
    """Random configurations; ``compared`` counts them by what was held against the reference."""

    configurations: int
    mismatches: int
    compared: dict[str, int]
    events: int
    stalls: int
    saturations: int


class Property(BaseModel):
    """A property of a module, and what is known of it."""

    module: str
    property: str
    status: Status


class Planted(BaseModel):
    """Faults planted by hand in reference, exporter and generator."""

    faults: int
    found: int


class Coverage(BaseModel):
    """Percent of lines and toggles, and the cases that were seen."""

    line: float
    toggle: float
    cases: int
    seen: int
    without_reason: int


class Loaders(BaseModel):
    """Loaders that the coverage-guided fuzzer fed, and what they did that no loader may."""

    loaders: int
    executions: int
    findings: int


class Evidence(BaseModel):
    """All of it.

    Attributes:
        seconds: Of the parts that take the time themselves: fuzzing, proofs and loaders.
    """

    fuzz: Fuzz
    proofs: list[Property]
    mutation: list[mutants.Score]
    planted: Planted
    coverage: Coverage
    loaders: Loaders
    seconds: float


def collect() -> Evidence:
    """Read the five results.

    Raises:
        UserError: When one is missing, or the fuzzer compared other sources than these.
    """
    fuzz = require_results(fuzzing.RESULT_FILE, fuzzing.Results, "run make fuzz")
    if fuzz.sources != fuzzing.compared_sources():
        raise UserError(f"result file {fuzzing.RESULT_FILE}", "is of other RTL, or of another reference", "run make fuzz")
    proved = require_results(proofs.RESULT_FILE, proofs.Results, "run make prove")
    mutated = require_results(mutants.RESULT_FILE, mutants.Results, "run make mutants")
    covered = require_results(coverage.RESULT_FILE, coverage.Results, "run make coverage")
    fed = require_results(robustness.RESULT_FILE, robustness.Results, "run make fuzz-loaders")
    total = fuzz.total()
    hits = [hit for module in covered.modules for hit in module.cases.values()]
    return Evidence(
        fuzz=Fuzz(
            configurations=total.configurations,
            mismatches=fuzz.mismatches,
            compared=total.compared,
            events=total.events,
            stalls=total.stalls,
            saturations=total.saturations,
        ),
        proofs=[Property(**found.model_dump(include=set(Property.model_fields))) for found in proved.properties],
        mutation=[mutants.Score(**found.model_dump(include=set(mutants.Score.model_fields))) for found in mutated.modules],
        planted=Planted(faults=len(mutated.planted), found=sum(fault.found for fault in mutated.planted)),
        coverage=Coverage(
            line=covered.total("line").percent,
            toggle=covered.total("toggle").percent,
            cases=len(hits),
            seen=sum(hit > 0 for hit in hits),
            without_reason=len([missed for missed in covered.missed if not missed.reason]),
        ),
        loaders=Loaders(
            loaders=len(fed.loaders),
            executions=sum(loader.executions for loader in fed.loaders),
            findings=sum(len(loader.findings) for loader in fed.loaders),
        ),
        seconds=sum(portion.seconds for portion in fuzz.portions) + sum(proved.seconds.values()) + sum(run.seconds for run in fed.loaders),
    )


def unmeasured(found: Evidence) -> list[str]:
    """Return the modules in which no faults have been planted yet."""
    return sorted({target.module for target in mutants.TARGETS} - {result.module for result in found.mutation})


def page(found: Evidence) -> str:
    """Return the page, Markdown."""
    rows = "".join(f"| {what} | {measured} | {asked} | {verdict} |\n" for what, measured, asked, verdict in _rows(found))
    left = unmeasured(found)
    note = f"\nNo faults have been planted yet in {', '.join(f'`{module}`' for module in left)}.\n" if left else ""
    return _HEAD + rows + note + _TAIL


def _rows(found: Evidence) -> list[tuple[str, str, str, str]]:
    fuzz, covered = found.fuzz, found.coverage
    failed = sum(proof.status is Status.FAILED for proof in found.proofs)
    bounded = sum(proof.status is Status.BOUNDED for proof in found.proofs)
    modules = len({proof.module for proof in found.proofs})
    low = [result.module for result in found.mutation if result.score < WANTED_SCORE]
    lowest = min(found.mutation, key=lambda result: result.score)
    killed, planted, same = (sum(getattr(result, name) for result in found.mutation) for name in ("killed", "mutants", "equivalent"))
    least = f"≥ {100 * WANTED_SCORE:.0f} %"
    rows = [
        (
            f"random configurations, {fuzz.events:,} events, {fuzz.stalls:,} stalls, {fuzz.saturations:,} saturations",
            f"{fuzz.configurations:,}",
            f"≥ {WANTED_CONFIGURATIONS:,}",
            _verdict(fuzz.configurations >= WANTED_CONFIGURATIONS),
        )
    ]
    rows += [
        (f"of them {ORACLES[name]}", f"{count:,}", f"≥ {WANTED_PER_ORACLE}", _verdict(count >= WANTED_PER_ORACLE))
        for name, count in sorted(fuzz.compared.items())
    ]
    rows += [
        ("mismatches", f"{fuzz.mismatches}", "0", _verdict(not fuzz.mismatches)),
        (
            f"properties of {modules} modules, {bounded} of them bounded",
            f"{len(found.proofs) - failed} of {len(found.proofs)} hold",
            "all",
            _verdict(not failed),
        ),
        (
            f"faults in {len(found.mutation)} modules of the RTL found, {same} that change nothing left out",
            f"{killed:,} of {planted - same:,}, {100 * killed / (planted - same):.1f} %",
            "",
            "",
        ),
        ("lowest share of a module", f"{100 * lowest.score:.1f} %, `{lowest.module}`", least, _verdict(not low)),
        (
            "faults in reference, exporter and generator found",
            f"{found.planted.found} of {found.planted.faults}",
            "all",
            _verdict(found.planted.found == found.planted.faults),
        ),
    ]
    for kind, wanted in WANTED_COVERAGE.items():
        reached = getattr(covered, kind)
        rows.append((f"{kind} coverage of the RTL", f"{reached:.1f} %", f"≥ {wanted} %", _verdict(reached >= wanted)))
    rows += [
        ("what is not reached and has no reason", f"{covered.without_reason}", "0", _verdict(not covered.without_reason)),
        ("cases that matter, seen", f"{covered.seen} of {covered.cases}", "all", _verdict(covered.seen == covered.cases)),
        (
            f"hostile files given to {found.loaders.loaders} loaders: crashes, hangs, blow-ups",
            f"{found.loaders.findings} in {found.loaders.executions:,}",
            "0",
            _verdict(not found.loaders.findings),
        ),
    ]
    return rows


def _verdict(met: bool) -> str:
    return MET if met else MISSED


_HEAD = """# Evidence

What stands behind the core, besides the tests of every module. `make evidence` measures all of it again, some hours on two cores; what was
finished is kept when it is stopped. This page is written from `benchmarks/results/evidence.json`, which is collected from the results of
the five parts.

| what | measured | asked | |
|---|---|---|---|
"""
_TAIL = """
| part | command | what it does | page |
|---|---|---|---|
| fuzzing | `make fuzz` | random models on random hardware: network, RTL and HLS against the reference | [fuzzing](fuzzing.md) |
| proofs | `make prove` | no loss, no doubling, order, stable payload, no deadlock, by k-induction | [proofs](proofs.md) |
| planted faults | `make mutants` | whether the benches notice a fault | [mutants](mutants.md) |
| coverage | `make coverage` | what the benches reach; resets in mid-step; unknown values in Icarus | [coverage](coverage.md) |
| loaders | `make fuzz-loaders` | damaged, truncated and malicious files; a kill in the midst of writing | [robustness](robustness.md) |

`make test` runs a bounded part on every change: a few configurations of the fuzzer, the quick proofs, some planted faults, hostile files of
every loader, kills, unknown values, and lint by Verilator, slang and Verible.

None of this has seen silicon: see the limits in the [README](../README.md).
"""


def main(
    report: Annotated[bool, typer.Option("--report", help="Only write the page from the committed results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result to stdout.")] = False,
) -> None:
    """Collect the evidence and write the page; the exit code is 1 when something falls short."""
    with errors_to_exit_codes():
        found = require_results(RESULT_FILE, Evidence, "run make evidence") if report else collect()
        if not report:
            write_results(found, RESULT_FILE)
        write_whole(PAGE, page(found))
        if as_json:
            print_json(found.model_dump(mode="json"))
    if any(verdict == MISSED for *_, verdict in _rows(found)):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
