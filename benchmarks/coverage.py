"""Coverage of the RTL by the benches: ``python -m benchmarks.coverage``, or ``make coverage``; writes the page about it too.

Every launcher of ``tests/rtl`` runs with coverage (`sim.runner`), and what the runs hit is added up (`sim.coverage_data`). What they
missed must have a reason here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from egru.output import print_json, progress_bar, progress_console
from sim.build_cache import PACKAGE_ROOT, BenchError, digest
from sim.coverage_data import BRANCH, COVER, KINDS, LINE, TOGGLE, Point, cover_points, read_coverage
from sim.runner import COVERAGE_POINTS, COVERAGE_VARIABLE, LIBRARY, library_closure
from sw_model.errors import UserError
from sw_model.output_folder import write_whole

RESULT_FILE, PAGE = Path("benchmarks/results/coverage.json"), Path("docs/coverage.md")
WORK = Path("build/coverage")
#: In percent of the points that can be hit; what is missing has a reason in `WAIVERS`.
TARGETS = {LINE: 98.0, TOGGLE: 95.0}
_NO_BENCH = {"test_lint", "test_x_propagation"}
#: For pytest's -k, where all cases take long: the generated cores that differ most, three of five shapes of the bridge.
_CHOSEN = {
    "test_board_top": "steps_through",
    "test_egru_top": "every_neuron or share_five or (share and loaded)",
    "test_uart_bridge": "not 42 and not 300",
}


@dataclass(frozen=True)
class Waiver:
    """Why points are not hit.

    Attributes:
        module: Pattern of the whole name.
        kind: Of the points.
        place: Pattern of the beginning of the place.
        reason: Why.
        never: No simulation of bearable length can hit them, whatever a bench does; they do not count.
    """

    module: str
    kind: str
    place: str
    reason: str
    never: bool = False

    def covers(self, point: Point) -> bool:
        """Say whether it speaks of ``point``."""
        return point.kind == self.kind and bool(re.fullmatch(self.module, point.module) and re.match(self.place, point.place))


_COUNTS = r"(cycles_q|steps_q|word_q|total|read_data_o|counter_data_o|counter_data\[\d+\])"
WAIVERS = (
    Waiver(".*", LINE, r"\d+: default: +state_d = ", "the enum has no other value", never=True),
    Waiver(".*", TOGGLE, r"(\w+_)?(aw|ar)prot\[", "the protection bits carry nothing here", never=True),
    Waiver(".*", TOGGLE, r"(\w+_)?[br]resp(_q)?\[0\]", "OKAY and SLVERR differ in bit 1", never=True),
    Waiver(".*", TOGGLE, r"(\w+\.)?\w*unused", "nobody looks at it", never=True),
    Waiver(".*", TOGGLE, _COUNTS + r"\[(1[7-9]|[2-6]\d)\]", "takes more than 100,000 cycles; narrow counters show the carry", never=True),
    Waiver("egru_layer_counters", TOGGLE, r"(amount|recent)\[[012678]\]", "a pulse counts one: 16 at most in a round", never=True),
    Waiver("egru_layer_counters", TOGGLE, r"(idles|macs|waits)_b(_q)?\[2\]", "of 19 lanes the last group has three", never=True),
    Waiver("egru_rescale", TOGGLE, r"gen_round\.dropped\[", "one bit, as a number of the width of the other", never=True),
    Waiver("egru_uart_tx", TOGGLE, r"shift_q\[8\]", "always 1: the stop bit", never=True),
    Waiver("egru_uart_bridge|uart_core.sv.j2", TOGGLE, r"(m_axis_tdata|token_data)\[15\]", "a token has 15 bits on the line", never=True),
    Waiver("egru_uart_bridge", TOGGLE, r"reply_length_q\[0\]", "every reply has an even number of bytes", never=True),
    Waiver("egru_uart_bridge|uart_core.sv.j2", TOGGLE, r"(m_axil_)?wstrb\[", "the link writes whole words", never=True),
    Waiver("top.sv.j2", BRANCH, r".*\$time > 0.*else", "an edge at time 0 needs random initial values"),
    Waiver(".*", TOGGLE, _COUNTS, "the benches are shorter; narrow counters show the carry"),
    Waiver(
        "top.sv.j2|uart_core.sv.j2",
        TOGGLE,
        r"(s_axil_)?((aw|ar)addr|[br]resp|rdata|wstrb)\[",
        "all accesses are made at egru_axil_registers",
    ),
    Waiver(
        "uart_core.sv.j2", TOGGLE, r"irq|lights_o\[[32]\]|lost(_q)?", "interrupts and lost bytes are made at egru_top and egru_uart_bridge"
    ),
    Waiver(".*", TOGGLE, r"(\w+\.)?(\w*load\w*|word_q)\[(4[2-9]|5\d|15)\]", "no memory here is so deep, or has so high a number"),
    Waiver("egru_readout", TOGGLE, r"rd_data_i\[[56]\]", "rows that hold no class, in that shape"),
    Waiver(
        "egru_fifo|egru_lane|egru_update_unit",
        TOGGLE,
        r"(count_[oq]|waiting|reserved_q)\[[45]\]",
        "the longest queues are never full, shorter ones are",
    ),
    Waiver(
        "top.sv.j2", TOGGLE, r"layers_ready:", "the queue between a shared engine and the decoder is never full, those between engines are"
    ),
    Waiver("egru_rom", BRANCH, r".*InitFile.*else", "every memory in a bench has contents"),
    Waiver("egru_update_unit", TOGGLE, r"class_sum\[3\]", "the shape with sums so wide has no fourth lane"),
    Waiver(
        "egru_update_unit|(engine|decoder|top).sv.j2",
        TOGGLE,
        r"(\w+\.)?(\w*column|\w*index\w*|\w*token\w*|unit_event|\w*_base_1_q|rd_data|under_way_q)[\[:]",
        "no model here is so large",
    ),
)


class Share(BaseModel):
    """How many points of one kind there are, were hit, and never can be."""

    points: int
    hit: int
    never: int

    @property
    def percent(self) -> float:
        """Those that were hit, of those that can be."""
        return 100.0 * self.hit / max(self.points - self.never, 1)


class ModuleResult(BaseModel):
    """A library module, or all modules that a template made.

    Attributes:
        shares: By kind, of those kinds that the module has.
        cases: Hits of each case of functional coverage.
    """

    module: str
    shares: dict[str, Share]
    cases: dict[str, int]


class Missed(BaseModel):
    """Points that were not hit; the reason is empty when there is none."""

    module: str
    kind: str
    place: str
    points: int
    reason: str


class Results(BaseModel):
    """All modules, what was missed, and the launchers that ran."""

    launchers: list[str]
    modules: list[ModuleResult]
    missed: list[Missed]

    def total(self, kind: str) -> Share:
        """Return the sum over the modules."""
        shares = [module.shares[kind] for module in self.modules if kind in module.shares]
        return Share(**{name: sum(getattr(share, name) for share in shares) for name in Share.model_fields})

    def problems(self) -> list[str]:
        """Return what falls short, one line each."""
        found = [f"{module.module}: {case} never happened" for module in self.modules for case, hits in module.cases.items() if not hits]
        found += [f"{missed.module}: {missed.kind} {missed.place} was not reached" for missed in self.missed if not missed.reason]
        totals = {kind: self.total(kind).percent for kind in TARGETS}
        return found + [
            f"{kind} coverage is {totals[kind]:.1f} %, less than {least}" for kind, least in TARGETS.items() if totals[kind] < least
        ]


def launchers() -> list[Path]:
    """Return the files of ``tests/rtl`` that run benches."""
    return sorted(path for path in (PACKAGE_ROOT / "tests" / "rtl").glob("test_*.py") if path.stem not in _NO_BENCH)


def measure(chosen: Sequence[Path], work: Path, jobs: int) -> Counter[Point]:
    """Run launchers, ``jobs`` at the same time; one whose result is kept, and whose sources are as they were, does not run again.

    Raises:
        BenchError: When a test fails.
    """
    with progress_bar() as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("coverage", total=len(chosen))

        def one(launcher: Path) -> Counter[Point]:
            progress.update(task, description=launcher.stem)
            points = _measure_one(launcher, work / launcher.stem)
            progress.update(task, advance=1)
            return points

        hits = Counter[Point](dict.fromkeys(cover_points(), 0))
        try:
            for points in pool.map(one, chosen):
                hits.update(points)  # adding counters would drop those that nothing hit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return hits


def evaluate(hits: Mapping[Point, int], waivers: Iterable[Waiver], ran: Sequence[str]) -> Results:
    """Sort points into modules, and those that were not hit into reasons."""
    modules: dict[str, dict[str, list[Point]]] = defaultdict(lambda: {kind: [] for kind in KINDS})
    for point in sorted(hits):
        modules[point.module][point.kind].append(point)
    found = {
        point: next((waiver for waiver in waivers if waiver.covers(point)), None)
        for point, count in hits.items()
        if not count and point.kind != COVER
    }
    results = Results(launchers=list(ran), modules=[], missed=[])
    for module, kinds in sorted(modules.items()):
        shares = {}
        for kind, points in kinds.items():
            if kind != COVER and points:
                never = sum(waiver is not None and waiver.never for waiver in map(found.get, points))
                shares[kind] = Share(points=len(points), hit=sum(hits[point] > 0 for point in points), never=never)
        results.modules.append(ModuleResult(module=module, shares=shares, cases={point.place: hits[point] for point in kinds[COVER]}))
    grouped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for point in sorted(found):
        waiver = found[point]
        grouped[point.module, point.kind, waiver.reason if waiver else ""].append(point.place)
    for (module, kind, reason), places in grouped.items():
        for place, count in _shortened(places).items() if kind == TOGGLE else Counter(places).items():
            results.missed.append(Missed(module=module, kind=kind, place=place, points=count, reason=reason))
    return results


def _shortened(places: Iterable[str]) -> dict[str, int]:
    """Join the bits of a vector: ``a[3]:0->1``, ``a[4]:0->1`` become ``a[4:3]``; returns the directions that each stands for."""
    bits: dict[str, Counter[int]] = defaultdict(Counter)
    for place in places:
        name, index = re.fullmatch(r"(.*?)(?:\[(\d+)\])?:[01]->[01]", place).groups()  # type: ignore[union-attr]
        bits[name][-1 if index is None else int(index)] += 1
    joined: dict[str, int] = {}
    for name, counts in bits.items():
        first = None
        for bit in sorted(counts):
            first = bit if first is None else first
            if bit + 1 not in counts:
                span = "" if bit < 0 else f"[{bit}]" if bit == first else f"[{bit}:{first}]"
                joined[name + span] = sum(counts[one] for one in range(first, bit + 1))
                first = None
    return joined


def _measure_one(launcher: Path, folder: Path) -> Counter[Point]:
    benches = re.findall(r"sim\.benches\.(\w+)", launcher.read_text())
    sources = [launcher, *(PACKAGE_ROOT / "sim" / "benches" / f"{bench}.py" for bench in sorted(set(benches)))]
    top = launcher.stem.replace("test_", "egru_", 1)
    if (LIBRARY / f"{top}.sv").is_file():
        rtl = library_closure(top)
        sources += [*rtl, *(path for source in rtl if (path := COVERAGE_POINTS / f"{source.stem}_coverage.sv").is_file())]
    else:  # a generated one
        sources += sorted(path for folder in (LIBRARY.parent, COVERAGE_POINTS) for path in folder.rglob("*.sv*"))
    chosen = _CHOSEN.get(launcher.stem, "")
    key = digest([chosen, *(path.read_text() for path in sources)])
    kept = folder.with_suffix(".json")
    if kept.is_file() and (known := json.loads(kept.read_text()))["key"] == key:
        return Counter({Point(*point): count for *point, count in known["points"]})
    shutil.rmtree(folder, ignore_errors=True)
    environment = os.environ | {COVERAGE_VARIABLE: str(folder.resolve())}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, str(launcher)]
    done = subprocess.run(command, cwd=PACKAGE_ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{launcher.name} ended with status {done.returncode} under coverage:\n{done.stdout[-3000:]}")
    points = read_coverage(folder)
    write_whole(kept, json.dumps({"key": key, "points": [[*vars(point).values(), count] for point, count in sorted(points.items())]}))
    shutil.rmtree(folder)
    return points


def page(results: Results) -> str:
    """Return the page, Markdown."""
    line, toggle = (f"{results.total(kind).percent:.1f} %" for kind in (LINE, TOGGLE))
    cases = [hits for module in results.modules for hits in module.cases.values()]
    text = _HEAD.format(line=line, toggle=toggle, cases=len(cases), hit=sum(hits > 0 for hits in cases))
    text += "\n## Modules\n\n| module | lines | branches | toggles | cases |\n|---|---|---|---|---|\n"
    for module in [*results.modules, None]:
        shares = [(results.total(kind) if module is None else module.shares.get(kind)) for kind in (LINE, BRANCH, TOGGLE)]
        counts = cases if module is None else list(module.cases.values())
        name = "**all**" if module is None else f"`{module.module}`"
        hit = f"{sum(hits > 0 for hits in counts)} of {len(counts)}" if counts else ""
        text += f"| {name} | {' | '.join(_said(share) for share in shares)} | {hit} |\n"
    text += "\n## Cases\n\n| module | case | times |\n|---|---|---|\n"
    for module in results.modules:
        text += "".join(f"| `{module.module}` | {case.replace('_', ' ')} | {hits} |\n" for case, hits in module.cases.items())
    text += "\n## Not reached, and why\n\n| module | what | why |\n|---|---|---|\n"
    grouped: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for missed in results.missed:
        grouped[missed.module, missed.kind, missed.reason].append(f"`{missed.place}`".replace("|", "\\|"))
    for (name, kind, reason), places in grouped.items():
        text += f"| `{name}` | {kind}: {', '.join(places)} | {reason or '**no reason**'} |\n"
    return text


def _said(share: Share | None) -> str:
    return "" if share is None else f"{share.percent:.1f} % of {share.points - share.never}"


_HEAD = """# Coverage

What the benches of `tests/rtl` reach of the RTL: **{line} of the lines, {toggle} of the toggles, {hit} of {cases} cases**. What they do not
reach stands below, with the reason. `make coverage` measures it again (half an hour) and writes this page from
`benchmarks/results/coverage.json`; it fails when a case never happened, or when something is not reached and has no reason. Of the models
of `tests/equivalence_cases.py` it takes some, to save time; the suite runs them all.

* *Lines* and *branches* are Verilator's: a line that ran, a way out of an `if`, `case` or `? :` that was taken.
* *Toggles*: a bit that rose, and a bit that fell, count apart. Coverage runs start with all registers and memories at 0, not at random as
  every other run does: a random start and the reset after it would count as a toggle. The words of memories are not counted.
* *Cases* are situations that matter, with how often they were seen: `cover property` points in `sim/coverage`, which bind
  themselves to a module, wherever it is, when the variable `EGRU_COVERAGE` names a folder for the data. Without it nothing is bound.
* All shapes of a module count together, and the generated modules of all models under their template's name. A line that some generated
  modules have and others have not counts once, by its text.
* What no simulation of bearable length can reach, such as a constant bit, does not count; it is listed below with the rest.

The numbers say what was reached, not what was checked: the checks are the benches' comparisons, the assertions and the [proofs](proofs.md).

## Resets, random starts, unknown values

Registers and memories of every bench start at random (`+verilator+rand+reset+2`), and the generated core runs with several seeds: every
model of `tests/equivalence_cases.py` with two, board and reset runs with two. `sim/benches/egru_top_resets.py` resets the core in mid-step
again and again, hard and soft, at random, and compares what it answers after each with a fresh reference; the board's bench presses the
button while a batch is computed.

`tests/rtl/test_x_propagation.py` runs generated cores in Icarus Verilog, which knows X: all registers and memories start unknown, no X
comes out of any stream, handshake or register, and every logit is right. It holds for three small cores: one layer; two layers with groups
of gates; two layers that share lanes which can be loaded. Version 11 of Icarus takes the testbench as it is, but of the library only
`egru_crc32`, `egru_frame_buffer`, `egru_frame_receiver` and `egru_frame_sender`: it knows no parameters of type `int unsigned`. So yosys
rewrites the core in Verilog, without simplifying it; there every choice is a multiplexer, which hands an X on where an `if` would hide it.
The serial link (`egru_uart_bridge` and what is in it) has no such run. Where Icarus is missing the test is skipped.
"""


def main(
    launcher: Annotated[
        list[str] | None, typer.Option(help="Only this launcher, e.g. test_fifo; again for more. Nothing is judged then.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Launchers at the same time.", min=1)] = 1,
    work: Annotated[Path, typer.Option(help="Folder in which finished launchers are kept.")] = WORK,
    out: Annotated[Path | None, typer.Option(help="Result file; without one, and with all launchers, the committed one.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Only write the page from the committed results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the results to stdout.")] = False,
) -> None:
    """Measure coverage; the exit code is 1 when a case never happened, or something was not reached and has no reason."""
    with errors_to_exit_codes():
        if report:
            write_whole(PAGE, page(require_results(RESULT_FILE, Results, "run make coverage")))
            return
        known = {path.stem: path for path in launchers()}
        if unknown := set(launcher or ()) - set(known):
            raise UserError(f"launcher {min(unknown)}", "runs no bench", f"one of {', '.join(known)}")
        chosen = [path for name, path in known.items() if launcher is None or name in launcher]
        results = evaluate(measure(chosen, work, jobs), WAIVERS, [path.stem for path in chosen])
        if out or launcher is None:
            write_results(results, out or RESULT_FILE)
        if out is None and launcher is None:
            write_whole(PAGE, page(results))
        if as_json:
            print_json(results.model_dump(mode="json"))
        problems = results.problems() if launcher is None else []
        for problem in problems:
            progress_console.print(problem, soft_wrap=True, markup=False)
        totals = ", ".join(f"{kind} {results.total(kind).percent:.1f} %" for kind in TARGETS)
        progress_console.print(f"{totals}; {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
