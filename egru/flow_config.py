"""One TOML file configures the whole flow: each command reads the table of its stage, `egru demo` reads all of them.

A table that the file lacks is the one of the recipe that ships as ``sw_model/recipes/demo.toml``, or the defaults below.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from egru.config import StrictModel, load_config
from hls_gen.hardware_config import HardwareConfig
from sim.drivers import Pace
from sw_model.strict_toml import read_toml
from sw_model.train_config import RECIPES, Recipe

DEFAULT_RECIPE = RECIPES / "demo.toml"
#: Few lanes, in proportion to each block's MACs: synthesis, place and route is the longest part of the demo and grows with them.
DEMO_HARDWARE = HardwareConfig(lanes=(2, 4, 1), counter_bits=32)


class SimulationConfig(StrictModel):
    """What the RTL is shown.

    Attributes:
        steps: Time steps in all; None for 500 of tokens or random inputs, and for whole sequences of a data set.
        sequences: Sequences that tokens are dealt over, or of a data set how many; each ends with TLAST, and the next starts at zero state.
        seed: Of the stalls, the initial register values and random inputs.
        idle: How often the input stream idles.
        back_pressure: How often the logit stream refuses.
    """

    steps: int | None = Field(default=None, ge=1, le=1_000_000)
    sequences: int = Field(default=2, ge=1)
    seed: int = Field(default=1, ge=0, lt=1 << 31)
    idle: Pace = Pace.FULL
    back_pressure: Pace = Pace.FULL


class BuildConfig(StrictModel):
    """What is built, see `egru.place_and_route.build`.

    Attributes:
        board: A folder under boards/.
        clock_mhz: Clock of the core; None for the board's default.
        seeds: Of the placer.
        jobs: Seeds routed at the same time.
    """

    board: str = "ulx3s_85f"
    clock_mhz: float | None = Field(default=None, gt=0)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(1,), min_length=1)
    jobs: int = Field(default=1, ge=1)

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed occurs twice")
        return seeds


class FlowConfig(Recipe):
    """Everything that a user may set.

    Attributes:
        hardware: Lanes and queues; None for the default of the command that reads it.
        simulation: What the RTL is shown.
        build: What is built.
    """

    hardware: HardwareConfig | None = None
    simulation: SimulationConfig = SimulationConfig()
    build: BuildConfig = BuildConfig()


def load_flow_config(path: Path | None = None, overrides: dict[str, Any] | None = None, recipe: Path = DEFAULT_RECIPE) -> FlowConfig:
    """Read the flow's configuration.

    Args:
        path: See `egru.config.load_config`.
        overrides: Likewise.
        recipe: A TOML file whose tables are taken where ``path`` has none.

    Raises:
        UserError: When the file cannot be read, or a key is unknown or its value illegal.
    """
    return load_config(FlowConfig, path, overrides, defaults=read_toml(recipe))
