"""How many planted faults the benches find, module by module: ``python -m benchmarks.mutants``, or ``make mutants``.

How a fault is planted in a module and tried stands in `benchmarks.mutating`; those in the Python code are in `benchmarks.planted_faults`.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from benchmarks.mutating import Target, Trial, describe, equivalent, run
from benchmarks.planted_faults import FAULTS, copy_sources, found
from benchmarks.results_file import errors_to_exit_codes, read_results, require_results, write_results
from egru.output import print_json, progress_bar, progress_console
from sim.build_cache import digest
from sw_model.errors import UserError
from sw_model.output_folder import write_whole

RESULT_FILE, PAGE = Path("benchmarks/results/mutants.json"), Path("docs/mutants.md")
WORK = Path("build/mutants")
WANTED = 0.95


def _target(module: str, case: str, count: int, visible: tuple[str, ...] = ()) -> Target:
    return Target(f"egru_{module}", f"tests/rtl/test_{module}.py::{case}", count, visible)


TARGETS: tuple[Target, ...] = (
    _target("accumulator", "test_accumulator[5-2-8-8-23]", 60),
    _target("answer", "test_answer[5-True]", 40),
    _target("arbiter", "test_arbiter[3-12]", 40),
    _target("axil_registers", "test_axil_registers[1-1-12-0]", 40),
    _target("axil_registers", "test_axil_registers[4-9-40-2]", 40),
    _target("column_directory", "test_column_directory[5-200-11]", 40),
    _target("column_walker", "test_column_walker[engine]", 40),
    _target("column_walker", "test_column_walker[groups of gates]", 40),
    _target("crc32", "test_crc32", 40),
    _target("feature_words", "test_feature_words[13-4-8]", 40),
    _target("fifo", "test_fifo[21-5]", 40),
    _target("frame_buffer", "test_frame_buffer", 40),
    _target("frame_receiver", "test_frame_receiver", 40),
    _target("frame_sender", "test_frame_sender", 40),
    _target("lane", "test_lane[layer-6]", 40),
    _target("layer_counters", "test_layer_counters[5-8]", 40),
    _target("load_port", "test_words_arrive_whole[160]", 40),
    _target("readout", "test_readout[3-5-13]", 40),
    _target("rescale", "test_rescale[24-12-8]", 40),
    _target("reset_sync", "test_reset_sync[4]", 20),
    _target("rom", "test_rom[0-70-64-1]", 20),
    _target("rom", "test_rom[2-19-2049-5]", 40),
    _target("row_reader", "test_row_reader[row_ends3]", 50),
    _target("step_sequencer", "test_step_sequencer[3-7-6-50]", 40),
    _target("uart_bridge", "test_uart_bridge", 40),
    _target("uart_rx", "test_uart_rx[8]", 40),
    _target("uart_tx", "test_uart_tx[13]", 40),
    _target("update_unit", "test_update_unit[two layers on eight lanes]", 40, ("state_mem",)),
)

#: Why a fault changes nothing that can be seen, where induction does not show it: by module and fault.
REASONS: dict[tuple[str, str], str] = {
    (
        "egru_axil_registers",
        "const1 $procmux$1188.A[1]",
    ): "stands for the even words from 0x100 on: each is the low word of a counter, which comes by another way, or is not mapped",
    (
        "egru_axil_registers",
        "cnot0 $procmux$1205_CMP0.A[8] by [2]",
    ): "takes word 0x001, which comes by another way, for one of the default case, and word 0x101, which is not mapped, out of it",
    ("egru_column_walker", "cnot1 $procdff$348.D[0] by [1]"): "the third gate is numbered 3 instead of 2, which stands for the same",
    ("egru_crc32", "cnot1 $procmux$26.A[3] by [1]"): "the bits left are counted 8, 15, 6, 5, 4, 11, 2, 1, 0: as many cycles as ever",
    ("egru_crc32", "inv $sub$egru_crc32.sv:37$11.A[2]"): "the bits left are counted 8, 11, 14, 9, 12, 7, 2, 5, 0: as many cycles as ever",
    ("egru_fifo", "const0 $add$egru_fifo.sv:48$105.A[2]"): "from place 4, the last of 5, the pointer does not count on but goes to 0",
    ("egru_fifo", "const0 $eq$egru_fifo.sv:48$103.A[1]"): "tells place 4 from place 6 no longer, which a queue of 5 does not have",
    (
        "egru_rom",
        "const0 $memrd$\\gen_slices[1].mem$egru_rom.sv:57$206.CLK[0]",
    ): "this port has no clock: the register behind it is a cell of its own",
    (
        "egru_frame_sender",
        "inv $logic_and$egru_frame_sender.sv:56$21.B[0]",
    ): "the CRC begins while the last byte is divided instead of after it; its first byte waits for the division either way",
    ("egru_update_unit", "cnot0 u_blend.x_i[5] by [7]"): "of the 10 bits that are dropped here, rounding half up sees the highest only",
    ("egru_update_unit", "inv $procmux$4017.B[0]"): "of the 4 bits of a sum that are dropped, rounding half up sees the highest only",
    **{
        ("egru_step_sequencer", fault): "only input events notice, and with several layers none come: the first layer's input is a table"
        for fault in (
            "const1 $ternary$egru_step_sequencer.sv:117$641.A[2]",
            "const1 $ternary$egru_step_sequencer.sv:117$641.A[3]",
            "cnot0 $ternary$egru_step_sequencer.sv:117$641.A[4] by [1]",
            "const0 $logic_not$egru_step_sequencer.sv:100$624.Y[0]",
            "const1 $logic_not$egru_step_sequencer.sv:100$625.A[0]",
        )
    },
}


class Survivor(BaseModel):
    """A fault that the bench does not find.

    Attributes:
        case: The launcher's case.
        fault: What it is: mode, cell of the netlist, port and bit.
        source: Where its cell stands in the module.
        mutation: The options of yosys' ``mutate`` that plant it.
        equivalent: Whether it changes nothing that can be seen.
        why: How that is known; empty where it is not.
    """

    case: str
    fault: str
    source: str
    mutation: str
    equivalent: bool
    why: str


class Score(BaseModel):
    """How many faults of a module the tests find.

    Attributes:
        module: Its name.
        mutants: How many faults were planted.
        killed: How many were found.
        equivalent: How many change nothing that can be seen.
    """

    module: str
    mutants: int
    killed: int
    equivalent: int

    @property
    def score(self) -> float:
        """Share of the faults that could be found which were found."""
        return self.killed / (self.mutants - self.equivalent)


class ModuleResult(Score):
    """What is known of one module.

    Attributes:
        cases: The launcher's cases that ran.
        survivors: All that were not found, the equivalent ones included.
    """

    cases: list[str]
    survivors: list[Survivor]


class PlantedResult(BaseModel):
    """What is known of a fault in the Python or C++ code."""

    fault: str
    file: str
    test: str
    found: bool


class Results(BaseModel):
    """All modules, and all faults planted by hand."""

    modules: list[ModuleResult]
    planted: list[PlantedResult]


def survivors(target: Target, trial: Trial) -> list[Survivor]:
    """Return what the bench did not find; induction is tried before the table of reasons."""
    left = []
    for number in sorted(number for number, killed in trial.killed.items() if not killed):
        mutation = trial.design.mutations[number]
        fault = describe(mutation)
        proved = equivalent(trial.design, number)
        why = "induction" if proved else REASONS.get((target.module, fault), "") or _not_loaded(target.module, fault)
        source = ", ".join(re.findall(r"-src (\S+)", mutation))
        left.append(Survivor(case=target.node, fault=fault, source=source, mutation=mutation, equivalent=bool(why), why=why))
    return left


def _not_loaded(module: str, fault: str) -> str:
    """Say why a fault on the way to a memory's load bus changes nothing; empty where it does, or is another fault."""
    # The only case with Weights=2 whose module holds memories.
    loads = module == "egru_axil_registers"
    return "with Weights=0 a memory does not look at its load bus" if ".load_i[" in fault and not loads else ""


def judge(module: str, tried: Sequence[tuple[Target, Trial]]) -> ModuleResult:
    """Return what the trials of one module say together."""
    left = [survivor for target, trial in tried for survivor in survivors(target, trial)]
    killed = [killed for _, trial in tried for killed in trial.killed.values()]
    cases = [target.node for target, _ in tried]
    same = sum(survivor.equivalent for survivor in left)
    return ModuleResult(module=module, cases=cases, mutants=len(killed), killed=sum(killed), equivalent=same, survivors=left)


def try_modules(targets: Sequence[Target], work: Path, jobs: int) -> Iterator[ModuleResult]:
    """Try all faults of ``targets``, ``jobs`` cases at the same time; a module's result comes when all before it are there."""
    modules = list(dict.fromkeys(target.module for target in targets))
    with progress_bar() as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("faults", total=sum(target.count for target in targets))
        done = dict.fromkeys(targets, 0)

        def one(target: Target) -> Trial:
            def judged(count: int) -> None:
                done[target] = count
                progress.update(task, completed=sum(done.values()), description=target.module)

            return run(target, work, judged)

        running = {target: pool.submit(one, target) for target in targets}
        try:
            for module in modules:
                yield judge(module, [(target, trial.result()) for target, trial in running.items() if target.module == module])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def try_planted(work: Path) -> list[PlantedResult]:
    """Plant each fault of `benchmarks.planted_faults` in a copy of the sources, and run its test; what was found before is kept."""
    copy = work.resolve() / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy_sources(copy)
    results = []
    with progress_bar() as progress:
        for what, fault in progress.track(FAULTS.items(), description="planted faults"):
            texts = [(copy / name).read_text() for name in (fault.module, fault.breaks.partition("::")[0])]
            key = digest([fault.old, fault.new, fault.breaks, *texts])[:16]
            known = work / f"planted-{key}.found"
            if not known.is_file() and found(fault, copy, work / f"planted-{key}.log"):
                known.touch()
            results.append(PlantedResult(fault=what, file=fault.module, test=fault.breaks, found=known.is_file()))
    shutil.rmtree(copy)
    return results


def page(results: Results) -> str:
    """Return the page, Markdown."""
    text = _HEAD
    for result in results.modules:
        text += f"| `{result.module}` | {result.mutants} | {result.killed} | {result.equivalent} | {_percent(result)} |\n"
    missing = sorted({target.module for target in TARGETS} - {result.module for result in results.modules})
    if missing:
        text += f"\nNot measured yet: {', '.join(f'`{module}`' for module in missing)}.\n"
    text += "\n## Survivors\n\nWhat no bench finds. *induction*: yosys shows that nothing changes that can be seen.\n\n"
    text += "| module | fault | place | why |\n|---|---|---|---|\n"
    for result in results.modules:
        for survivor in result.survivors:
            why = survivor.why or "**not found**"
            text += f"| `{result.module}` | `{survivor.fault}` | {survivor.source} | {why} |\n"
    text += _PLANTED_HEAD
    for planted in results.planted:
        text += f"| {planted.fault} | `{planted.file}` | `{planted.test}` | {'yes' if planted.found else '**no**'} |\n"
    return text


def _percent(result: ModuleResult) -> str:
    share = f"{100 * result.score:.1f} %"
    return share if result.score >= WANTED else f"**{share}**"


_HEAD = f"""# Planted faults

How many faults the tests find. `make mutants` plants them, runs the tests, and writes this page from `benchmarks/results/mutants.json`; a
killed run goes on where it stopped.

## Faults in the RTL

The pass `mutate` of yosys puts faults into each module of the library, at the ports of its logic cells, registers and memories: a bit is
stuck at 0 or 1, inverted, or mixed up with another bit of its word. The module's own bench runs on each of them, with the parameters of
the launcher's case that `benchmarks/mutants.py` names; modules that it instantiates are whole. A fault counts as found when a test or an
assertion of the module fails, or when the bench does not end within twice its usual time. Which faults, is drawn evenly with a fixed
seed. The score is the share of those found among those that change anything; {100 * WANTED:.0f} % are asked for.

Not covered: the generated engine and top, whose wiring the whole-core tests compare with the reference; parameters other than those of the
cases; what `make prove` would find beyond the benches.

| module | faults | found | equivalent | score |
|---|---|---|---|---|
"""
_PLANTED_HEAD = """
## Faults in reference, exporter and generator

Planted by hand in a copy of the sources (`benchmarks/planted_faults.py`); nothing but the named test runs on each.

| fault | file | test | found |
|---|---|---|---|
"""


def main(
    module: Annotated[list[str] | None, typer.Option(help="Only this module; again for more. The results of others stay.")] = None,
    planted: Annotated[bool, typer.Option(help="Try the faults in reference, exporter and generator, too.")] = True,
    jobs: Annotated[int, typer.Option(help="Cases at the same time.", min=1)] = 2,
    work: Annotated[Path, typer.Option(help="Folder for netlists, builds, logs and verdicts.")] = WORK,
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    report: Annotated[bool, typer.Option("--report", help="Only write the page from the committed results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write [{module, mutants, killed, equivalent}] to stdout.")] = False,
) -> None:
    """Plant faults and count those that are found; the exit code is 1 when a module has too few or a planted fault is missed."""
    with errors_to_exit_codes():
        if report:
            write_whole(PAGE, page(require_results(RESULT_FILE, Results, "run make mutants")))
            return
        if unknown := set(module or ()) - {target.module for target in TARGETS}:
            known = ", ".join(dict.fromkeys(target.module for target in TARGETS))
            raise UserError(f"module {min(unknown)}", "has no faults", f"one of {known}")
        results = read_results(out, Results) or Results(modules=[], planted=[])
        for result in try_modules([target for target in TARGETS if module is None or target.module in module], work, jobs):
            others = [other for other in results.modules if other.module != result.module]
            results.modules = sorted([*others, result], key=lambda result: result.module)
            write_results(results, out)
            progress_console.print(f"{result.module}: {result.killed} of {result.mutants} found, {result.equivalent} equivalent")
        if planted:
            results.planted = try_planted(work)
            write_results(results, out)
        if out == RESULT_FILE:
            write_whole(PAGE, page(results))
        if as_json:
            print_json([result.model_dump(include={"module", "mutants", "killed", "equivalent"}) for result in results.modules])
        low = [result.module for result in results.modules if result.score < WANTED]
        missed = [result.fault for result in results.planted if not result.found]
        if low:
            progress_console.print(f"below {100 * WANTED:.0f} %: {', '.join(low)}")
        if missed:
            progress_console.print(f"not found: {'; '.join(missed)}")
    if low or missed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
