"""What the logic of a core takes, fitted to syntheses: ``python -m benchmarks.resource_model``.

A dozen small cores, chosen so that lanes, widths, update units, blocks and formats vary one against another, are synthesised for every
device family. The law of `hls_gen.logic_model` is fitted to what they take by least squares of the relative error, no coefficient below
zero, and written to hls_gen/logic_model.json. The errors go to the result file, each also as it is when the law is fitted without that
core. Block RAMs and multipliers are not fitted: the count of `hls_gen.resource_model` stands beside that of the synthesis.

Cores that the result file has are not synthesised again unless ``--afresh`` is given.
"""

import importlib.metadata
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from pydantic import BaseModel

from benchmarks.results_file import errors_to_exit_codes, read_results, write_results
from egru.output import progress_bar, progress_console
from egru.tools import require_script
from hls_gen.board import TOP_MODULE as BOARD_MODULE
from hls_gen.board import Family, Toolchain, load_board
from hls_gen.board_flow import SYNTHESIS, SYNTHESISED, YOSYS, read_command, synthesis_resources
from hls_gen.device import Resource
from hls_gen.hardware_config import HardwareConfig
from hls_gen.logic_model import COEFFICIENTS_FILE, FamilyLogic, LogicModel, LogicTerm
from hls_gen.render import LIBRARY_FOLDER
from hls_gen.resource_model import block_shapes, estimate_shapes, link_memories, logic_terms
from hls_gen.rtl_backend import TOP_MODULE, write
from hls_gen.sparse_encoding import pack
from sw_model.errors import UserError
from sw_model.fixed_point import Formats
from sw_model.random_model import RandomModelSpec, random_model

RESULT_FILE = Path(__file__).with_name("results") / "resource_model.json"
LINK_MODULE, LINK_CLASSES = "egru_uart_bridge", 32  # the module's default
NARROW = Formats(event_bits=6, state_bits=12, gate_bits=8, preact_bits=10, preact_frac=6)
# Whose options of the synthesis are taken: those of any board of the family.
BOARDS = {
    Family.ECP5: "ulx3s_85f",
    Family.GW2A: "tang_nano_20k",
    Family.XC7: "arty_a7_100t",
    Family.ICE40UP: "icebreaker",  # its synthesis takes longest
}
# yosys maps the logic of both alike, but for the memories, which are counted: one is synthesised for both.
SAME_LOGIC = {Family.GW1N: Family.GW2A, Family.XCUP: Family.XC7}


@dataclass(frozen=True)
class Case:
    """A core to be synthesised."""

    name: str
    spec: RandomModelSpec
    config: HardwareConfig


def _case(
    name: str, hidden: tuple[int, ...], lanes: tuple[int, ...], *, formats: Formats | None = None, bits: int = 8, **config: object
) -> Case:
    spec = RandomModelSpec(hidden=hidden, tokens=12, classes=40, formats=formats or Formats(), weight_bits=bits, density=0.25)
    return Case(name, spec, HardwareConfig.model_validate({"lanes": lanes, **config}))


CASES = (
    _case("narrow, 1 lane", (24,), (1, 1), formats=NARROW, bits=4, queue_depth=6, counter_bits=16),
    _case("2 lanes", (40,), (2, 1)),
    _case("4 lanes", (48,), (4, 1)),
    _case("two layers", (40, 36), (4, 2, 1)),
    _case("shared by two layers", (40, 36), (4, 1), engines="shared"),
    _case("8 lanes", (64,), (8, 2)),
    _case("narrow, 3 units", (48,), (3, 3), formats=NARROW, lanes_per_update_unit=1, counter_bits=32),
    _case("groups of gates", (48,), (6, 1), entry_format="gate-group"),
    _case("deep queues", (64,), (4, 4), queue_depth=32, counter_bits=24),
    _case("12 lanes, 2-bit weights", (96,), (12, 4), bits=2, counter_bits=32),
    _case("shared by three layers", (36, 36, 36), (8, 2), engines="shared", entry_format="gate-group", queue_depth=8),
    _case("16 lanes, 2 units", (96,), (16, 2), lanes_per_update_unit=8),
    _case("two layers, narrow", (48, 48), (4, 4, 2), formats=NARROW, bits=6, queue_depth=8, counter_bits=16),
)


class Sample(BaseModel):
    """What one core takes on one family.

    Attributes:
        case: Its name.
        family: The device family.
        synthesised: By yosys; of iCE40 and Gowin ``lut`` counts cells of a table and a flip-flop.
        estimated: By the law fitted to all cores.
        lut_error: Relative error of the estimate.
        ff_error: Likewise.
        lut_error_unseen: Likewise, of the law fitted without this core.
        ff_error_unseen: Likewise.
    """

    case: str
    family: Family
    synthesised: dict[Resource, int]
    estimated: dict[Resource, int] = {}
    lut_error: float = 0.0
    ff_error: float = 0.0
    lut_error_unseen: float = 0.0
    ff_error_unseen: float = 0.0


class FamilyErrors(BaseModel):
    """The errors of one family: the largest, and the mean of their sizes."""

    cores: int
    lut_worst: float
    lut_mean: float
    lut_worst_unseen: float
    ff_worst: float
    ff_mean: float
    ff_worst_unseen: float
    bram_and_dsp_equal: bool


class Results(BaseModel):
    """The result file."""

    yosys: str = ""
    families: dict[Family, FamilyErrors] = {}
    uart: dict[Family, dict[Resource, int]] = {}
    samples: list[Sample] = []


@dataclass
class _Observed:
    """One core on one family: its terms, and the logic that the synthesis left when the memories are taken away."""

    terms: dict[LogicTerm, float]
    memories: dict[Resource, int] = field(default_factory=dict)
    counted: dict[Resource, int] = field(default_factory=dict)


def synthesise(folder: Path, family: Family, top: str) -> dict[Resource, int]:
    """Synthesise module ``top`` of the sources in ``folder``/rtl and return what it takes.

    Raises:
        UserError: When yosys fails.
    """
    board = load_board(BOARDS[family])
    synthesis = " ".join((*SYNTHESIS[family], *board.synthesis_flags, "-top", top, "-json net.json"))
    sources = [f"rtl/{path.name}" for path in sorted((folder / "rtl").glob("*.sv"))]
    commands = f"{read_command(sources)}; {synthesis}; tee -q -o stat.json stat -json"
    done = subprocess.run([require_script(YOSYS), "-q", "-p", commands], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise UserError(f"synthesis for {family} in {folder}", "failed", done.stderr.decode(errors="replace").strip()[-300:])
    module = json.loads((folder / "net.json").read_text())["modules"][top]
    found = synthesis_resources(board.toolchain, json.loads((folder / "stat.json").read_text()), {"modules": {BOARD_MODULE: module}})
    amounts: dict[Resource, int] = {resource: getattr(found, resource.value) for resource in Resource}
    if board.toolchain is Toolchain.GOWIN:
        amounts[Resource.LUT] += lone_flip_flops(module)
    return amounts


def lone_flip_flops(module: Mapping[str, Any]) -> int:
    """Count the flip-flops of a Gowin netlist that no table feeds: in nextpnr each takes the place of a table.

    Args:
        module: The flat top module of a netlist as yosys' ``write_json`` gives it.
    """
    cells = [(_is(cell["type"], "lut"), _is(cell["type"], "ff"), cell) for cell in module["cells"].values()]
    from_tables = {
        bit
        for is_table, _, cell in cells
        if is_table
        for port, bits in cell["connections"].items()
        if cell["port_directions"][port] == "output"
        for bit in bits
    }
    return sum(cell["connections"]["D"][0] not in from_tables for _, is_flip_flop, cell in cells if is_flip_flop)


def _is(cell: str, resource: str) -> bool:
    return any(fnmatchcase(cell, kind) for kind in getattr(SYNTHESISED[Toolchain.GOWIN], resource))


def synthesise_case(case: Case, family: Family) -> Sample:
    """Generate and synthesise the core of ``case``."""
    with TemporaryDirectory() as folder:
        write(random_model(case.spec), case.config, Path(folder) / "core")
        return Sample(case=case.name, family=family, synthesised=synthesise(Path(folder) / "core", family, TOP_MODULE))


def synthesise_link(family: Family) -> dict[Resource, int]:
    """Synthesise the serial link and return its logic; its memories are taken away."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "rtl").mkdir()
        for path in LIBRARY_FOLDER.glob("*.sv"):
            (Path(folder) / "rtl" / path.name).write_bytes(path.read_bytes())
        found = synthesise(Path(folder), family, LINK_MODULE)
    memories = link_memories(family, LINK_CLASSES, logits=True)
    tables, flip_flops = sum(use.tables for use in memories), sum(use.flip_flops for use in memories)
    return {Resource.LUT: found[Resource.LUT] - tables, Resource.FF: found[Resource.FF] - flip_flops}


def _observe(case: Case, family: Family) -> _Observed:
    model = random_model(case.spec)
    packed = pack(model, case.config)
    shapes = block_shapes(packed)
    estimate = estimate_shapes(model, packed.plan, shapes, family)
    return _Observed(
        logic_terms(model, packed.plan, shapes, estimate.memories),
        {
            Resource.LUT: sum(use.tables for use in estimate.memories),
            Resource.FF: sum(use.flip_flops for use in estimate.memories),
        },
        {Resource.BRAM: estimate.bram, Resource.DSP: estimate.dsp},
    )


def fit_not_negative(amounts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return coefficients, none below zero, that make ``amounts @ coefficients`` come close to ``wanted`` in relative terms.

    Terms whose coefficient comes out below zero are left out, the most negative first, until none is.

    Args:
        amounts: float64, shape (cores, terms).
        wanted: float64, shape (cores,), positive.
    """
    # Every term counts alike where there are too few cores to tell them apart.
    usual = amounts.mean(axis=0)
    kept = np.flatnonzero(usual).tolist()
    while True:
        found = np.linalg.lstsq(amounts[:, kept] / usual[kept] / wanted[:, None], np.ones(len(wanted)), rcond=None)[0]
        if not len(found) or found.min() >= 0:
            break
        del kept[int(found.argmin())]
    coefficients = np.zeros(amounts.shape[1])
    coefficients[kept] = found / usual[kept]
    return coefficients


def fit_family(
    samples: Sequence[Sample], observed: Sequence[_Observed], resource: Resource
) -> tuple[dict[LogicTerm, float], list[int], list[float]]:
    """Fit one law.

    Returns:
        The coefficients; the estimate of every core; the relative error of every core by the law fitted to all others.
    """
    terms = list(LogicTerm)
    amounts = np.array([[one.terms[term] for term in terms] for one in observed], float)
    memories = np.array([one.memories[resource] for one in observed], float)
    total = np.array([sample.synthesised[resource] for sample in samples], float)
    # Flip-flops of memories are counted, so they are no matter of the fit.
    if resource is Resource.FF:
        amounts[:, terms.index(LogicTerm.REGISTER_BIT)] = 0.0
    logic = total - memories
    coefficients = fit_not_negative(amounts, logic)
    unseen = []
    for index in range(len(samples)):
        others = np.arange(len(samples)) != index
        law = fit_not_negative(amounts[others], logic[others])
        unseen.append(float((amounts[index] @ law + memories[index]) / total[index] - 1))
    estimates = np.rint(amounts @ coefficients + memories).astype(int).tolist()
    return {term: round(float(value), 4) for term, value in zip(terms, coefficients, strict=True) if value}, estimates, unseen


def fit(results: Results, cases: Sequence[Case] = CASES) -> tuple[Results, LogicModel]:
    """Fit the laws of all families to the samples."""
    laws: dict[Family, FamilyLogic] = {}
    errors: dict[Family, FamilyErrors] = {}
    samples: list[Sample] = []
    for family in Family:
        source = SAME_LOGIC.get(family, family)
        mine = [sample for case in cases for sample in results.samples if (sample.family, sample.case) == (source, case.name)]
        observed = [_observe(case, source) for case in cases if any(sample.case == case.name for sample in mine)]
        lut, lut_estimates, lut_unseen = fit_family(mine, observed, Resource.LUT)
        ff, ff_estimates, ff_unseen = fit_family(mine, observed, Resource.FF)
        laws[family] = FamilyLogic(lut=lut, ff=ff, uart=results.uart[source])
        if family in SAME_LOGIC:
            continue
        mine = [
            sample.model_copy(
                update={
                    "estimated": {Resource.LUT: one, Resource.FF: other, **seen.counted},
                    "lut_error": one / sample.synthesised[Resource.LUT] - 1,
                    "ff_error": other / sample.synthesised[Resource.FF] - 1,
                    "lut_error_unseen": lut_error,
                    "ff_error_unseen": ff_error,
                }
            )
            for sample, seen, one, other, lut_error, ff_error in zip(
                mine, observed, lut_estimates, ff_estimates, lut_unseen, ff_unseen, strict=True
            )
        ]
        errors[family] = _errors(mine)
        samples += mine
    return Results(yosys=importlib.metadata.version(YOSYS), families=errors, uart=results.uart, samples=samples), LogicModel(families=laws)


def _errors(samples: Sequence[Sample]) -> FamilyErrors:
    def sizes(name: str) -> list[float]:
        return [abs(getattr(sample, name)) for sample in samples]

    return FamilyErrors(
        cores=len(samples),
        lut_worst=max(sizes("lut_error")),
        lut_mean=float(np.mean(sizes("lut_error"))),
        lut_worst_unseen=max(sizes("lut_error_unseen")),
        ff_worst=max(sizes("ff_error")),
        ff_mean=float(np.mean(sizes("ff_error"))),
        ff_worst_unseen=max(sizes("ff_error_unseen")),
        bram_and_dsp_equal=all(
            sample.estimated[resource] == sample.synthesised[resource] for sample in samples for resource in (Resource.BRAM, Resource.DSP)
        ),
    )


def run(
    out: Annotated[Path, typer.Option(help="Result file.")] = RESULT_FILE,
    coefficients: Annotated[Path, typer.Option(help="Where the law is written.")] = COEFFICIENTS_FILE,
    afresh: Annotated[bool, typer.Option("--afresh", help="Synthesise every core again.")] = False,
) -> None:
    """Synthesise what the result file lacks, fit, and write both files."""
    with errors_to_exit_codes():
        results = Results() if afresh else read_results(out, Results) or Results()
        families = list(BOARDS)
        known = {(sample.family, sample.case) for sample in results.samples}
        wanted = [(family, case) for family in families for case in CASES if (family, case.name) not in known]
        with progress_bar() as progress:
            task = progress.add_task("synthesis", total=len(wanted) + len(families))
            for family in families:
                if family not in results.uart:
                    results.uart[family] = synthesise_link(family)
                    write_results(results, out)
                progress.advance(task)
            for family, case in wanted:
                progress.update(task, advance=1, description=f"{family}: {case.name}")
                results.samples.append(synthesise_case(case, family))
                write_results(results, out)
        results, law = fit(results)
        write_results(results, out)
        write_results(law, coefficients)
        for family, found in results.families.items():
            words = f"{family}: tables within {found.lut_worst:.1%} (unseen {found.lut_worst_unseen:.1%}), flip-flops {found.ff_worst:.1%}"
            progress_console.print(words, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    typer.run(run)
