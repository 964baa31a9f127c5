"""`egru sweep`: all points of a grid through all stages, each stage once; the table is written anew after every point."""

import json
import statistics
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copyfile, copytree
from time import monotonic
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from rich.progress import Progress as Bar

from egru import __version__
from egru.config import StrictModel
from egru.flow_config import FlowConfig
from egru.output import progress_bar, progress_console
from egru.sweep import stages
from egru.sweep.cache import Cache, Entry, Task, versions
from egru.sweep.engine import Engine, Failure, Progress, States, closure, drive, missing, settle
from egru.sweep.grid import SweepConfig, check, configure, expand, name_of
from egru.sweep.points import points_csv
from egru.sweep.request import PACKAGES, text_digest
from egru.sweep.table import POINTS_FILE, SWEEP_FILE, BuildFigures, ModelFigures, Point, Row, SimulationFigures, SweepResults
from egru.tools import require_tools
from hls_gen.hardware_config import HardwareConfig
from sim.build_cache import locked
from sw_model.datasets import EMBEDDED, load_text
from sw_model.errors import UserError
from sw_model.output_folder import require_free, staged_folder, write_whole

#: Copies of the exported models with their event rasters, so that the folder of the results stands without the cache.
MODELS_FOLDER = "models"
LOCK_FILE = ".lock"
#: Digits of a model's hash in the name of its folder.
HASH_DIGITS = 12

Figures = TypeVar("Figures", bound=StrictModel)


class PlannedPoint:
    """A point and its tasks."""

    def __init__(self, point: Point, config: FlowConfig, text: stages.Text, *, with_build: bool) -> None:
        """Plan as far as can be known: where the board chooses the lanes, nothing behind that.

        Args:
            point: What it is.
            config: The configuration of the whole flow for it.
            text: Its text.
            with_build: Whether it goes on to the board.
        """
        self.point, self.name = point, name_of(point)
        self._config, self._text, self._with_build = config, text, with_build
        self._model = stages.model_task(config, text)
        self._fit = stages.fit_task(config, text, self._model) if point.lanes is None else None
        self._behind = [] if self._fit or config.hardware is None else self._plan_behind(config.hardware)

    def wanted(self, states: States) -> list[Task]:
        """Return the tasks whose figures the row holds, as far as they are known."""
        if self._fit is None:
            return [self._model, *self._behind]
        fitted = states.get(self._fit.key)
        if isinstance(fitted, Entry) and not self._behind:
            self._behind = self._plan_behind(stages.fitted_hardware(fitted.folder))
        return [self._model, self._fit, *self._behind]

    def tasks(self, states: States) -> dict[str, Task]:
        """Return all tasks that are known by stage, in the order of the stages."""
        every = {task.stage: task for wanted in self.wanted(states) for task in closure(wanted)}
        return {stage: every[stage] for stage in stages.STAGES if stage in every}

    def unknown(self) -> tuple[str, ...]:
        """Return the stages whose settings are not known yet."""
        return () if self._behind else ("generate", "simulate", "build")[: 3 if self._with_build else 2]

    def status(self, states: States) -> Literal["done", "failed", "waiting"]:
        """Say how far it is."""
        if any(isinstance(states.get(task.key), Failure) for task in self.tasks(states).values()):
            return "failed"
        return "done" if self._behind and all(task.key in states for task in self.wanted(states)) else "waiting"

    def _plan_behind(self, hardware: HardwareConfig) -> list[Task]:
        return stages.hardware_tasks(self._config, self._text, self._model, hardware, with_build=self._with_build)


class Sweep:
    """All points of a sweep, and the folder of its results."""

    def __init__(self, config: SweepConfig, out: Path, cache: Cache, request: str) -> None:
        """Plan.

        Args:
            config: What is asked for.
            out: Folder of the results.
            cache: Of the stages.
            request: See `egru.sweep.request.request_digest`.

        Raises:
            UserError: When some point cannot be, as far as that can be known beforehand.
        """
        self.config, self.out, self.cache, self.request = config, Path(out), cache, request
        data = config.base.data
        dataset = load_text(data.source, data.unit, max_vocabulary=data.max_vocabulary)
        source = data.source if data.source == EMBEDDED else str(Path(data.source).resolve())
        text = stages.Text(source, data.unit, data.max_vocabulary, text_digest(source))
        points = expand(config)
        configs = {name_of(point): configure(config.base, point) for point in points}
        check(configs, dataset)
        self.points = [PlannedPoint(point, configs[name_of(point)], text, with_build=config.with_build) for point in points]
        self._text: dict[str, str | int] = {"name": dataset.name, "unit": dataset.unit, "held_out": len(dataset.test)}
        self._started = datetime.now(UTC).isoformat(timespec="seconds")

    def wanted(self, states: States) -> list[Task]:
        """Return the tasks whose figures the table holds, the first point's first."""
        return [task for point in self.points for task in point.wanted(states)]

    def plan(self) -> list[dict[str, Any]]:
        """Return what a run would do, as JSON values: of every stage its key, the first point that needs it, and whether it is cached.

        Behind a ``fit`` that has not run, nothing is known of the stages but their names; their keys are None.
        """
        states: States = {}
        settle(self.wanted, states, self.cache)
        left = missing(self.wanted(states), states)
        planned: dict[str, dict[str, Any]] = {}
        for point in self.points:
            for stage, task in point.tasks(states).items():
                if task.key in states or task.key in left:  # else what stands on it is cached, and nobody looks at it
                    planned.setdefault(task.key, {"stage": stage, "key": task.key, "point": point.name, "cached": task.key in states})
            for stage in point.unknown():
                planned[f"{stage} {point.name}"] = {"stage": stage, "key": None, "point": point.name, "cached": False}
        return list(planned.values())

    def run(self, engine: Engine, *, force: bool = False) -> SweepResults:
        """Compute what is missing, and write the table.

        Args:
            engine: What computes.
            force: Write to the folder of the results even when it holds something else, or a table with other points.

        Raises:
            UserError: When a tool is missing, or the folder may not be written.
            DiskFullError: When a result cannot be written.
        """
        require_tools()
        self._take_over(force=force)
        taken = UserError(f"folder {self.out}", "is being written by another sweep", "wait for it, or give another --out")
        with locked(self.out / LOCK_FILE, taken), progress_bar() as bar, engine:
            return self.write(drive(self.wanted, self.cache, engine, _Report(self, bar)))

    def write(self, states: States) -> SweepResults:
        """Write the table with all that is known, and return it."""
        results = SweepResults(
            title=self.config.title,
            text=self._text,
            versions={"egru-fpga": __version__, "python": sys.version.split()[0], **versions(PACKAGES)},
            config=self.config.model_dump(mode="json"),
            started=self._started,
            request=self.request,
            rows=tuple(self._row(point, states) for point in self.points),
        )
        # In this order: what tells that a sweep is whole comes last.
        write_whole(self.out / POINTS_FILE, points_csv(results.rows))
        write_whole(self.out / SWEEP_FILE, results.model_dump_json(indent=1) + "\n")
        return results

    def _take_over(self, *, force: bool) -> None:
        """Look at what the folder holds: nothing, what a stopped sweep left, or a table, all of whose points must be in this one too."""
        path = self.out / SWEEP_FILE
        if not path.is_file():
            if not (self.out / LOCK_FILE).is_file():
                require_free(self.out, force=force)
            return
        try:
            earlier = SweepResults.model_validate_json(path.read_bytes())
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            progress_console.print(f"{path} is damaged ({problem}) and is written anew", soft_wrap=True, markup=False)
            return
        dropped = {row.name for row in earlier.rows} - {point.name for point in self.points}
        if dropped and not force:
            rule = f"holds a sweep with points that this one lacks, e.g. {min(dropped)}"
            raise UserError(f"folder {self.out}", rule, "give another --out, and --cache to share what is computed, or --force")
        self._started = earlier.started

    def _row(self, point: PlannedPoint, states: States) -> Row:
        tasks = point.tasks(states)
        ended = {stage: states[task.key] for stage, task in tasks.items() if task.key in states}
        done = {stage: state.folder for stage, state in ended.items() if isinstance(state, Entry)}
        failed, reason = next(((stage, state.reason) for stage, state in ended.items() if isinstance(state, Failure)), (None, None))
        figures = {stage: stages.read_figures(folder) for stage, folder in done.items()}
        seconds = {stage: self.cache.seconds(task) for stage, task in tasks.items()}
        row = Row(
            name=point.name,
            point=point.point,
            status=point.status(states),
            failed_stage=failed,
            reason=reason,
            stages={stage: task.key for stage, task in tasks.items()},
            seconds={stage: value for stage, value in seconds.items() if value is not None},
        )
        found: dict[str, Any] = {}
        if "model" in done:
            folder = self._keep_model(done["model"], figures["model"]["hash"])
            found |= {"artifact": f"{folder}/{stages.MODEL}", "raster": f"{folder}/{stages.RASTER_FILE}"}
            found["model"] = _read(ModelFigures, {**figures["model"], "memory_bits": figures.get("generate", {}).get("memory_bits")})
        if "simulate" in done:
            found["simulation"] = _read(SimulationFigures, figures["simulate"])
        if "build" in done:
            found["build"] = _with_speed(_read(BuildFigures, figures["build"]), found.get("simulation"))
        return row.model_copy(update=found)

    def _keep_model(self, entry: Path, model_hash: str) -> str:
        """Copy a model and its raster beside the table, and return their folder relative to it."""
        name = f"{MODELS_FOLDER}/{model_hash[:HASH_DIGITS]}"
        if not (self.out / name).is_dir():
            with staged_folder(self.out / name) as work:
                copytree(entry / stages.MODEL, work / stages.MODEL)
                copyfile(entry / stages.RASTER_FILE, work / stages.RASTER_FILE)
        return name


def _read(kind: type[Figures], values: dict[str, Any]) -> Figures:
    return kind.model_validate_json(json.dumps(values))


def _with_speed(build: BuildFigures, simulation: SimulationFigures | None) -> BuildFigures:
    """Add the steps per second, which follow from clock and cycles."""
    if simulation is None or build.target_mhz is None:
        return build
    # The routing that is taken is the fastest.
    clock_mhz = build.target_mhz if build.timing_met else max(build.clock_mhz_per_seed.values())
    return build.model_copy(update={"steps_per_second": clock_mhz * 1e6 / simulation.cycles_per_step})


class _Report:
    """Shows where the sweep stands, and writes the table when a point has ended."""

    def __init__(self, sweep: Sweep, bar: Bar) -> None:
        self._sweep, self._bar = sweep, bar
        self._task = bar.add_task("", total=None)
        self._ended = 0
        self._begun: dict[str, float] = {}
        self._status: dict[str, str] = {}

    def __call__(self, progress: Progress) -> None:
        """Take up what has happened since the last call."""
        sweep, states = self._sweep, progress.states
        names = self._names(states)
        for task in progress.ended:
            state = states[task.key]
            mark, words = ("[green]✓[/]", f"{state.seconds:7.1f} s") if isinstance(state, Entry) else ("[red]✗[/]", "failed")
            progress_console.print(f"{mark} {task.stage:<9}{words:>10}   {names[task.key]}", highlight=False, soft_wrap=True)
            if isinstance(state, Failure):
                progress_console.print(f"  {state.reason}", highlight=False, soft_wrap=True, markup=False)
        self._ended += len(progress.ended)
        status: dict[str, str] = {point.name: point.status(states) for point in sweep.points}
        if status != self._status:
            sweep.write(states)
        self._status = status
        self._begun = {key: self._begun.get(key, monotonic()) for key in progress.running}
        counts = Counter(status.values())
        words = f"{counts['done']} of {len(status)} points, {counts['failed']} failed, {len(progress.running)} running"
        left, unplanned = self._seconds_left(progress)
        total = self._ended + len(progress.missing) + unplanned
        self._bar.update(self._task, completed=self._ended, total=total, description=f"{words}, {left} left")

    def _names(self, states: States) -> dict[str, str]:
        """Return of each task the first point that needs it."""
        names: dict[str, str] = {}
        for point in self._sweep.points:
            for task in point.tasks(states).values():
                names.setdefault(task.key, point.name)
        return names

    def _seconds_left(self, progress: Progress) -> tuple[str, int]:
        """Say how long the rest takes when every stage takes as long as it took in the mean, and how many stages are not planned yet."""
        known = defaultdict(list)
        for point in self._sweep.points:
            for stage, task in point.tasks(progress.states).items():
                state = progress.states.get(task.key)
                if isinstance(state, Entry):
                    known[stage].append(state.seconds)
        waiting = [point for point in self._sweep.points if point.status(progress.states) == "waiting"]
        unplanned = [stage for point in waiting for stage in point.unknown()]
        mean = {stage: statistics.fmean(seconds) for stage, seconds in known.items()}
        left = sum(mean.get(stage, 0.0) for stage in unplanned)
        for key, task in progress.missing.items():
            elapsed = monotonic() - self._begun[key] if key in self._begun else 0.0
            left += max(0.0, mean.get(task.stage, 0.0) - elapsed)
        unseen = any(stage not in mean for stage in [*unplanned, *(task.stage for task in progress.missing.values())])
        clock = timedelta(seconds=round(left / max(1, progress.slots)))
        return f"{'>' if unseen else '~'}{clock}", len(unplanned)
