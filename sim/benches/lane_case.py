"""One lane of a random model, as the generator makes it: parameters, memory images and what its sums must be."""

from dataclasses import dataclass

import numpy as np

from hls_gen.hardware_config import BlockPart, BlockPlan, HardwareConfig, HardwarePlan
from hls_gen.rtl_backend import generate
from sim.runner import Parameter
from sw_model.quantized_model import QuantizedModel
from sw_model.random_model import RandomModelSpec, random_model

# the second layer has input and recurrent columns; 11 neurons on 2 lanes leave a padding row
SPEC = RandomModelSpec(hidden=(13, 11), classes=31, density=0.25)
LANE = 1
EMPTY_SOURCE, FULL_SOURCE = 0, 1
CONFIGURATIONS = {
    "layer": HardwareConfig(lanes=2),
    "groups of gates": HardwareConfig(lanes=2, entry_format="gate-group"),
    "shared": HardwareConfig(lanes=2, engines="shared"),
    "decoder": HardwareConfig(lanes=2),
}
# A row's sums, see egru_accumulator.sv; the gates z, r, g of recurrent and of input weights go there.
RECURRENT_FIELDS, INPUT_FIELDS = (3, 0, 1), (3, 0, 2)


@dataclass(frozen=True)
class LaneCase:
    """A lane.

    Attributes:
        plan: Of its engine or of the decoder.
        parameters: Of egru_lane, but for the depth of the queue.
        files: Its memory images.
        places: {before, count} of each column, from the directory: the address before its first entry, and its entries.
        weights: int64, shape (rows, fields, columns): what the lane must multiply, from the uncompressed matrices; physical columns.
    """

    plan: BlockPlan
    parameters: dict[str, Parameter]
    files: dict[str, str]
    places: list[tuple[int, int]]
    weights: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the exact sums, shape (rows, fields), for event ``values``, shape (columns,)."""
        return self.weights @ values.astype(np.int64)


def lane_case(name: str, seed: int) -> LaneCase:
    """Draw a model, generate its hardware in the configuration ``name`` and pick one lane of its last engine or of its decoder.

    The first event source has no weights at all, the second one has all of them.
    """
    model = random_model(RandomModelSpec(**{**vars(SPEC), "seed": seed}))
    for layer in model.layers:
        _make_extremes(layer.input_weight, layer.recurrent_weight)
    _make_extremes(model.decoder.weight)
    generated = generate(model, CONFIGURATIONS[name])
    plan = generated.plan.decoder if name == "decoder" else generated.plan.engines[-1]
    images = {image.name: image for image in generated.memories}
    directory, entries = images[f"{plan.name}_directory"], images[f"{plan.name}_lane{LANE}_entries"]
    fullest = max(len(images[f"{plan.name}_lane{lane}_entries"].words) for lane in range(plan.lanes))
    start_bits = max(1, (fullest - 1).bit_length())
    count_bits = directory.bits // plan.lanes - start_bits
    words = [word >> (start_bits + count_bits) * LANE for word in directory.words]
    places = [(word >> count_bits & (1 << start_bits) - 1, word & (1 << count_bits) - 1) for word in words]
    parameters: dict[str, Parameter] = {
        "Entries": len(entries.words),
        "StartBits": start_bits,
        "CountBits": count_bits,
        "EventBits": model.formats.event_bits,
        "WeightBits": plan.weight_bits,
        "AccBits": plan.acc_bits,
        "Rows": plan.rows,
        "FieldBits": plan.field_bits,
        "Group": name == "groups of gates",
        "EntryFile": entries.name,
    }
    return LaneCase(plan, parameters, entries.files(), places, _weights(model, generated.plan, plan))


def _make_extremes(*matrices: np.ndarray) -> None:
    for matrix in matrices:
        if matrix.size:
            matrix[..., EMPTY_SOURCE] = 0
            matrix[..., FULL_SOURCE] = np.where(matrix[..., FULL_SOURCE] == 0, -127, matrix[..., FULL_SOURCE])


def _weights(model: QuantizedModel, hardware: HardwarePlan, plan: BlockPlan) -> np.ndarray:
    """Lay out the weights of the lane by row, field and physical column."""
    weights = np.zeros((plan.rows, 1 << plan.field_bits, plan.columns), np.int64)
    for part in plan.parts:
        if part.layer is None:
            before, source = hardware.place_of(len(model.layers) - 1)
            _place(weights, plan, part, model.decoder.weight[np.newaxis], before.slot_of(source), (0,))
            continue
        layer = model.layers[part.layer]
        _place(weights, plan, part, layer.recurrent_weight, plan.slot_of(part), RECURRENT_FIELDS)
        if part.layer:
            before, source = hardware.place_of(part.layer - 1)
            _place(weights, plan, part, layer.input_weight, before.slot_of(source) + plan.slots, INPUT_FIELDS)
            if before is plan:
                _place(weights, plan, part, layer.input_weight, before.slot_of(source), INPUT_FIELDS)
    return weights


def _place(weights: np.ndarray, plan: BlockPlan, part: BlockPart, matrix: np.ndarray, columns: np.ndarray, fields: tuple[int, ...]) -> None:
    mine = part.packing.lane_of == LANE
    rows = part.first_row + part.packing.row_of[mine]
    for gate, field in enumerate(fields):
        weights[np.ix_(rows, np.array([field]), columns)] += matrix[gate, mine][:, np.newaxis]
