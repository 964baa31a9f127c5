"""What a sweep is asked for: a TOML file, or flags, to the list of its points, each with the configuration of the whole flow."""

import itertools
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from egru.artifacts import deal_sequences
from egru.config import StrictModel
from egru.flow import stand_in
from egru.flow_config import DEFAULT_RECIPE, FlowConfig
from egru.sweep.table import Point
from hls_gen.board import UartLink, load_board, render_top
from hls_gen.hardware_config import plan
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.pruning_config import MAX_BLOCK, SPARSITY_ROUNDING, Method
from sw_model.strict_toml import read_toml, validate

#: In place of lanes: those that the board can hold.
FIT = "fit"
#: Of the placer, where the sweep names none: the clock is their median.
SEEDS = (1, 2, 3)

Sparsity = Annotated[float, Field(ge=0, lt=1)]
Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
Lanes = Sizes | Literal["fit"]
Seed = Annotated[int, Field(ge=0, lt=1 << 31)]


class Axes(StrictModel):
    """``[grid]``: every value with every other; an axis that is not there has the base's value alone. See `egru.sweep.table.Point`."""

    sparsity: tuple[Sparsity, ...] | None = None
    method: tuple[Method, ...] | None = None
    weight_bits: tuple[int, ...] | None = None
    hidden_sizes: tuple[Sizes, ...] | None = None
    lanes: tuple[Lanes, ...] | None = None
    seed: tuple[Seed, ...] | None = None
    board: tuple[str, ...] | None = None


class Given(StrictModel):
    """``[[point]]``: one point; what is not given has the base's value."""

    sparsity: Sparsity | None = None
    method: Method | None = None
    weight_bits: int | None = None
    hidden_sizes: Sizes | None = None
    lanes: Lanes | None = None
    seed: Seed | None = None
    board: str | None = None


class SweepConfig(StrictModel):
    """A sweep.

    Attributes:
        title: What it is called.
        base: Recipe, hardware, simulation and build that all points share; tables that are not there are those of the demo.
        grid: The axes.
        point: Further points.
        with_build: Whether to go on to the boards; without, a point ends with its simulation.
    """

    title: str = "sweep"
    base: FlowConfig
    grid: Axes = Axes()
    point: tuple[Given, ...] = ()
    with_build: bool = True


def load_sweep(path: Path | None, axes: Mapping[str, Any], others: Mapping[str, Any]) -> SweepConfig:
    """Read a sweep.

    Args:
        path: The TOML file; None for the demo's recipe with the axes alone.
        axes: Axes of the command line, which replace those of the file.
        others: Other keys of the command line, likewise.

    Raises:
        UserError: When the file cannot be read, or a key is unknown or its value illegal.
    """
    data = {} if path is None else read_toml(path)
    base = data.get("base", {})
    if isinstance(base, dict):  # else it is refused below
        data["base"] = read_toml(DEFAULT_RECIPE) | base
    # The file is judged alone first, so that each mistake is blamed on where it was made.
    config = validate(data, SweepConfig, "the demo's recipe" if path is None else str(path))
    if not axes and not others:
        return config
    return validate({**data, **others, "grid": {**data.get("grid", {}), **axes}}, SweepConfig, "the command line")


def expand(config: SweepConfig) -> list[Point]:
    """Return the points of a sweep, none twice, boards changing fastest.

    Raises:
        UserError: When there are none, one occurs twice, or the base leaves open what a point is.
    """
    axes = {name: values for name, values in config.grid if values is not None}
    for name, values in axes.items():
        if not values:
            raise UserError(f"axis {name}=[]", "is empty, so the sweep has no points", "give it a value, or leave it out")
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise UserError(f"axis {name}={_shown(values)}", f"holds {_shown(twice)} twice", "leave one of them out")
    if not axes and not config.point:
        raise UserError("the sweep", "has no points: neither [grid] nor [[point]]", "give an axis, e.g. sparsity = [0, 0.5, 0.9]")
    base = _base_values(config.base)
    order = ("hidden_sizes", "seed", "method", "sparsity", "weight_bits", "lanes", "board")
    products = itertools.product(*(axes.get(name, (base[name],)) for name in order)) if axes else ()
    shared = config.base.hardware is not None and config.base.hardware.engines == "shared"
    # Without pruning the methods are all the same, so this drops points that are.
    points = list(dict.fromkeys(_point(dict(zip(order, values, strict=True)), shared=shared) for values in products))
    for given in config.point:
        point = _point({name: base[name] if value is None else value for name, value in given}, shared=shared)
        if point in points:
            raise UserError(f"point {name_of(point)}", "occurs twice", "leave one of them out")
        points.append(point)
    return points


def _base_values(base: FlowConfig) -> dict[str, Any]:
    """Return what a point has where nothing else is said."""
    pruning, quantization = base.prune.pruning, base.qat.quantization
    if quantization is None:
        raise UserError("table [base.qat]", "has no quantization, so nothing could be exported", "add quantization = { weight_bits = 8 }")
    if quantization.weight_bits != quantization.decoder_bits:
        what = f"weight_bits={quantization.weight_bits} and decoder_bits={quantization.decoder_bits} in [base.qat]"
        raise UserError(what, "differ, but a point has one number for all weights", "give both the same")
    lanes: int | tuple[int, ...] | str = FIT
    if base.hardware is not None and "lanes" in base.hardware.model_fields_set:
        lanes = base.hardware.lanes
    return {
        "sparsity": 0.0 if pruning is None else pruning.sparsity,
        "method": "global" if pruning is None else pruning.method,
        "weight_bits": quantization.weight_bits,
        "hidden_sizes": base.dense.network.hidden_sizes,
        "lanes": (lanes,) if isinstance(lanes, int) else lanes,
        "seed": base.dense.seed,
        "board": base.build.board,
    }


def _point(values: dict[str, Any], *, shared: bool) -> Point:
    """Make a point; one number of lanes is for every block: each layer or all that share an engine, and the decoder."""
    lanes, layers = None if values["lanes"] == FIT else values["lanes"], len(values["hidden_sizes"])
    if lanes is not None and len(lanes) == 1:
        lanes *= 2 if shared else layers + 1
    return Point(**{**values, "lanes": lanes, "method": values["method"] if values["sparsity"] else "global"})


def name_of(point: Point) -> str:
    """Return the name of a point, which no other point of any sweep with the same base has."""
    share = f"{point.sparsity:.2f}" if round(point.sparsity, 2) == point.sparsity else repr(point.sparsity)
    parts = [f"s{share}", point.method, f"w{point.weight_bits}", "x".join(map(str, point.hidden_sizes))]
    parts += [] if point.lanes is None else ["l" + "x".join(map(str, point.lanes))]
    return "-".join([*parts, f"seed{point.seed}", point.board])


def configure(base: FlowConfig, point: Point) -> FlowConfig:
    """Return the configuration of the whole flow for a point.

    At sparsity 0 the phase that prunes is there all the same, so that every network has had as many steps.

    Raises:
        UserError: When the base cannot be so.
    """
    tables = base.model_dump(mode="json", exclude_unset=True)
    for phase in ("dense", "prune", "qat"):
        tables[phase]["seed"] = point.seed
    tables["dense"]["network"] = {**tables["dense"].get("network", {}), "hidden_sizes": list(point.hidden_sizes)}
    tables["prune"]["pruning"] = _pruning(tables["prune"].get("pruning"), point)
    tables["qat"]["quantization"] |= {"weight_bits": point.weight_bits, "decoder_bits": point.weight_bits}
    tables["hardware"] = _without(tables.get("hardware") or {}, "lanes")
    if point.lanes is not None:
        tables["hardware"]["lanes"] = list(point.lanes)
    tables["build"] = {"seeds": SEEDS, **tables.get("build", {}), "board": point.board}
    return validate(tables, FlowConfig, f"point {name_of(point)}")


def _pruning(held: dict[str, Any] | None, point: Point) -> dict[str, Any] | None:
    """Return the table of a point's pruning, whose schedule is the base's; None where nothing is pruned."""
    if not point.sparsity:
        return None
    if held is None:
        rule = "has no schedule, because [base.prune] prunes nothing"
        raise UserError(f"sparsity={point.sparsity}", rule, "add pruning = { sparsity = 0.5, end_step = … } there")
    pruning = _without(held, "lanes", "n_of_m") | {"sparsity": point.sparsity, "method": point.method}
    if point.method == "column-balanced":
        lanes = point.lanes or held.get("lanes")
        if lanes is None:
            rule = "needs to know the lanes, which the board is to choose"
            raise UserError("method=column-balanced", rule, "give an axis lanes, or lanes in pruning = { … } of [base.prune]")
        pruning["lanes"] = lanes
    if point.method == "n-m":
        n, m = held.get("n_of_m") or (0, 1)
        if abs(1 - n / m - point.sparsity) > SPARSITY_ROUNDING:  # another sparsity than the base's: the smallest N and M
            share = 1 - Fraction(point.sparsity).limit_denominator(MAX_BLOCK)
            n, m = share.numerator, share.denominator
        pruning["n_of_m"] = (n, m)
    return pruning


def check(configs: Mapping[str, FlowConfig], dataset: TextDataset) -> None:
    """Look at everything of all points that can be known to be wrong before anything is trained.

    Args:
        configs: Configurations by the points' names.
        dataset: The text.

    Raises:
        UserError: For the first point that cannot be; it is named.
    """
    for name, config in configs.items():
        try:
            deal_sequences(dataset.test, config.simulation.steps, config.simulation.sequences)
            board = load_board(config.build.board)
            if isinstance(board.link, UartLink):
                render_top(board, config.build.clock_mhz)
            model = stand_in(config, len(dataset.vocabulary))
            if config.hardware is not None and "lanes" in config.hardware.model_fields_set:
                plan(model, config.hardware)
        except UserError as error:
            rule, _, remedy = str(error).rpartition("; ")
            raise UserError(f"point {name}:", rule, remedy) from None


def _without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _shown(value: object) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)
