"""The logic of a core as a linear law: tables and flip-flops for everything that it is built of.

The coefficients stand in logic_model.json; ``python -m benchmarks.resource_model`` fits them to syntheses of small cores, and keeps their
errors in benchmarks/results/resource_model.json. Memories are not in them: those are counted (`hls_gen.resource_model`).
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from hls_gen.board import Family
from hls_gen.device import Resource
from sw_model.strict_toml import StrictModel

COEFFICIENTS_FILE = Path(__file__).with_name("logic_model.json")


class LogicTerm(StrEnum):
    """What a core is built of, as far as its logic goes."""

    CORE = "the core"
    BLOCK = "a block"
    COUNTER_BIT = "a bit of a block's counters"
    LANE = "a lane"
    SUM_BIT = "a bit of a lane's sums"
    ITEM_BIT = "a bit of a lane's items"
    UNIT_BIT = "a bit of an update unit's sums, pre-activations, gates and states"
    SHARED_BIT = "a bit of an update unit's sums, for every layer but one that shares it"
    GROUP_LANE = "a lane that walks groups of gates"
    CONSTANT_BIT = "a bit of a memory that is too small for block RAM"
    REGISTER_BIT = "a bit of a memory in flip-flops"


class FamilyLogic(StrictModel):
    """The law of one family.

    Attributes:
        lut: Tables, or cells of a table and a flip-flop on iCE40 and Gowin, per unit of each term.
        ff: Flip-flops, likewise.
        uart: Tables and flip-flops of the serial link.
    """

    lut: dict[LogicTerm, float]
    ff: dict[LogicTerm, float]
    uart: dict[Resource, int]


class LogicModel(StrictModel):
    """The laws of all families."""

    families: dict[Family, FamilyLogic]


@cache
def load_logic_model(path: Path = COEFFICIENTS_FILE) -> LogicModel:
    """Read the coefficients."""
    return LogicModel.model_validate_json(path.read_text())


def predict_logic(family: Family, terms: Mapping[LogicTerm, float]) -> tuple[int, int]:
    """Return tables and flip-flops of a core with these ``terms``, memories left out."""
    law = load_logic_model().families[family]
    lut, ff = (sum(table.get(term, 0.0) * amount for term, amount in terms.items()) for table in (law.lut, law.ff))
    return round(lut), round(ff)


def uart_logic(family: Family) -> tuple[int, int]:
    """Return tables and flip-flops of the serial link, memories left out."""
    law = load_logic_model().families[family]
    return law.uart[Resource.LUT], law.uart[Resource.FF]
