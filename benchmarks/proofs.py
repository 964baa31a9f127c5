"""Runs the proofs of the RTL library and writes the page about them: ``python -m benchmarks.proofs``, or ``make prove``.

What is proved stands in `sim.proof_table`, how in `sim.proving`.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, require_results, write_results
from egru.output import print_json, progress_bar, progress_console
from sim.proof_table import PROOFS
from sim.proving import Mode, Outcome, Proof, Status, run
from sw_model.errors import UserError
from sw_model.output_folder import write_whole

RESULT_FILE, PAGE = Path("benchmarks/results/proofs.json"), Path("docs/proofs.md")
WORK = Path("build/proofs")


class PropertyResult(BaseModel):
    """What is known of one property.

    Attributes:
        module: The library module.
        property: Its label in the wrapper.
        status: Of all shapes, the weakest.
        depth: Steps of the induction, or cycles.
        message: Where to look when it failed.
    """

    module: str
    property: str
    status: Status
    depth: int
    message: str = ""


class Results(BaseModel):
    """All properties, and the seconds that the runs of each module took together."""

    properties: list[PropertyResult]
    seconds: dict[str, float]


def judge(proof: Proof, outcomes: Sequence[Outcome]) -> list[PropertyResult]:
    """Return what the runs of a proof, one for each shape, say of its properties.

    A run stops at the first assertion that fails, so nothing is known of the others of that run: they count as failed too.
    """
    reached = Status.PROVED if proof.mode is Mode.PROVE else Status.BOUNDED
    failed = [(shape, outcome) for shape, outcome in zip(proof.shapes, outcomes, strict=True) if not outcome.holds]
    results = []
    for name in proof.properties:
        said = "; ".join(f"{dict(shape)}: {_said(name, outcome)}" for shape, outcome in failed)
        status = Status.FAILED if failed else reached
        results.append(PropertyResult(module=proof.module, property=name, status=status, depth=proof.depth, message=said))
    return results


def _said(name: str, outcome: Outcome) -> str:
    others = f"not decided, because {', '.join(outcome.broken)} fails"
    said = "fails" if name in outcome.broken else outcome.undecided or others
    return f"{said}, trace {outcome.trace}" if outcome.trace else said


def prove(proofs: Sequence[Proof], work: Path, jobs: int) -> Results:
    """Run ``proofs``, every shape of each, ``jobs`` runs at the same time."""
    runs = [(proof, shape, work / f"{proof.top}_{index}") for proof in proofs for index, shape in enumerate(proof.shapes)]
    with progress_bar() as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("proofs", total=len(runs))

        def one(job: tuple[Proof, dict[str, int], Path]) -> Outcome:
            outcome = run(*job)
            progress.update(task, advance=1, description=job[0].module)
            return outcome

        try:
            outcomes = list(pool.map(one, [(proof, dict(shape), folder) for proof, shape, folder in runs]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    results = Results(properties=[], seconds={})
    for proof in proofs:
        mine = [outcome for (owner, _, _), outcome in zip(runs, outcomes, strict=True) if owner is proof]
        results.properties += judge(proof, mine)
        results.seconds[proof.module] = round(results.seconds.get(proof.module, 0.0) + sum(outcome.seconds for outcome in mine), 1)
    return results


def page(results: Results) -> str:
    """Return the page, Markdown."""
    sentences = {(proof.module, name): sentence for proof in PROOFS for name, sentence in proof.properties.items()}
    shapes = {proof.module: proof.shapes for proof in PROOFS}
    text = _HEAD
    for module, seconds in results.seconds.items():
        mine = [result for result in results.properties if result.module == module]
        tried = "; ".join(", ".join(f"{name} {value}" for name, value in shape.items()) for shape in shapes[module] if shape)
        text += f"\n## {module}\n\n{tried or 'One shape'}: {seconds:.0f} s.\n\n| property | what it says | |\n|---|---|---|\n"
        for result in mine:
            text += f"| `{result.property}` | {sentences[module, result.property]} | {_verdict(result)} |\n"
    return text


def _verdict(result: PropertyResult) -> str:
    return {Status.PROVED: "proved", Status.BOUNDED: f"bounded to depth {result.depth}", Status.FAILED: "**failed**"}[result.status]


_HEAD = """# Proofs

What is proved of the RTL, for every input that a wrapper allows, not only for those that a bench has tried. `make prove` runs the proofs
with yosys, SymbiYosys and z3 and writes this page from `benchmarks/results/proofs.json`; the quick ones are among the tests. A proof is a
wrapper in `sim/proofs/`: its `assume` lines are what the neighbours must do, its labelled `assert` lines what the module does.

*proved* is k-induction: it holds in every reachable state, however long the module runs. *bounded to depth N*: in the first N cycles.
Either is a statement about the parameters named here, with narrow data; a queue does not look at its words, so their width changes nothing.
The reset is low in the first cycle and whenever it likes after that: every property also says that after a reset in the midst of work the
module behaves as from the start. The soft reset of a core is such a reset for the modules in it.

Where a wrapper says so, some modules are cut out: what leaves them is free, except for what their own proofs say and the wrapper assumes.
`egru_top` is the generated top of a core of one layer, as a whole, with its memories and its rounding cut out: whatever they hold.

Each proof can fail: for each module the table (`sim/proof_table.py`) names a fault, which `python -m benchmarks.proofs --planted` plants in
a copy and expects to be found.

Accumulators cannot overflow, in two parts. `egru_accumulator` gives exact sums as long as no true partial sum leaves the range of its
width. `hls_gen.hardware_config` gives it that width: for each row the positive weights times the largest event, and the negative ones, in
whole numbers and with the bias where there is one (docs/semantics.md, section 7); where weights may be changed later, for any weights of
the shape. `tests/benchmarks/test_proofs.py` takes models to the very ends of that range.

Not covered: other numbers (`egru_rescale`, the pipeline of `egru_update_unit`) are the benches' matter, which compare them with the
reference; so are `egru_rom`, which is a memory, and `egru_column_directory` but for its part in `egru_lane`. Of the top only the rules of
its ports are proved; that a token gives exactly its logits is proved piece by piece (`egru_step_sequencer`, `egru_readout`, the queues
between) and tried as a whole by the benches.
"""


def main(
    module: Annotated[list[str] | None, typer.Option(help="Only this module; again for more.")] = None,
    planted: Annotated[bool, typer.Option("--planted", help="Plant each proof's fault, and fail when it is not found.")] = False,
    jobs: Annotated[int, typer.Option(help="Runs at the same time.", min=1)] = 2,
    work: Annotated[Path, typer.Option(help="Folder for sources, logs and traces.")] = WORK,
    out: Annotated[Path | None, typer.Option(help="Result file; without one, and with all modules, the committed one.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Only write the page from the committed results.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write [{module, property, status}] to stdout.")] = False,
) -> None:
    """Prove the RTL library; the exit code is 1 when something does not hold."""
    with errors_to_exit_codes():
        if report:
            write_whole(PAGE, page(require_results(RESULT_FILE, Results, "run make prove")))
            return
        chosen = [proof for proof in PROOFS if module is None or proof.module in module]
        if unknown := set(module or ()) - {proof.module for proof in PROOFS}:
            raise UserError(f"module {min(unknown)}", "has no proof", f"one of {', '.join(proof.module for proof in PROOFS)}")
        if planted:
            _find_faults(chosen, work)
            return
        results = prove(chosen, work, jobs)
        if out or module is None:
            write_results(results, out or RESULT_FILE)
        if out is None and module is None:
            write_whole(PAGE, page(results))
        if as_json:
            print_json([result.model_dump(mode="json", include={"module", "property", "status"}) for result in results.properties])
        failed = [result for result in results.properties if result.status is Status.FAILED]
        for result in failed:
            progress_console.print(f"{result.module}.{result.property}: {result.message}", soft_wrap=True, markup=False)
        progress_console.print(f"{len(results.properties) - len(failed)} of {len(results.properties)} properties hold")
    if failed:
        raise typer.Exit(1)


def _find_faults(proofs: Sequence[Proof], work: Path) -> None:
    missed = []
    with progress_bar() as progress:
        for proof in progress.track(proofs, description="planted faults"):
            if proof.fault.breaks not in run(proof, proof.shapes[0], work / f"{proof.top}_planted", planted=True).broken:
                missed.append(proof.module)
    progress_console.print(f"{len(proofs) - len(missed)} of {len(proofs)} planted faults found")
    if missed:
        progress_console.print(f"not found: {', '.join(missed)}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
