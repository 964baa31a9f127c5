"""One lane of a random model, as the generator makes it: parameters, memory images and what its sums must be."""

from dataclasses import dataclass

import numpy as np

from hls_gen.hardware_config import HardwareConfig, MatrixPlan
from hls_gen.rtl_backend import generate
from hls_gen.sparse_encoding import LaneColumns, decoder_columns, layer_columns
from sim.runner import Parameter
from sw_model.random_model import RandomModelSpec, random_model

# the second layer has input and recurrent columns; 11 neurons on 2 lanes leave a padding row
SPEC = RandomModelSpec(hidden=(13, 11), classes=31, density=0.25)
LAYER, LANE = 1, 1
EMPTY_SOURCE, FULL_SOURCE = 0, 1


@dataclass(frozen=True)
class LaneCase:
    """A lane.

    Attributes:
        plan: Of its layer or of the decoder.
        parameters: Of egru_lane.
        entry_bits: Width of an entry.
        entries: The entry memory's words.
        files: Its memory images.
        columns: What the lane stores.
        weights: int64, shape (rows, fields, columns): what the lane must multiply, from the uncompressed matrices; physical columns.
    """

    plan: MatrixPlan
    parameters: dict[str, Parameter]
    entry_bits: int
    entries: tuple[int, ...]
    files: dict[str, str]
    columns: LaneColumns
    weights: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the exact sums, shape (rows, fields), for event ``values``, shape (columns,)."""
        return self.weights @ values.astype(np.int64)


def lane_case(seed: int, *, decoder: bool) -> LaneCase:
    """Draw a model, generate its hardware and pick one lane of its second layer or of its decoder.

    Its first event source has no weights at all, the second one has all of them.
    """
    model = random_model(RandomModelSpec(**{**vars(SPEC), "seed": seed}))
    layer = model.layers[LAYER]
    for matrix in (layer.input_weight, layer.recurrent_weight, model.decoder.weight):
        matrix[..., EMPTY_SOURCE] = 0
        matrix[..., FULL_SOURCE] = np.where(matrix[..., FULL_SOURCE] == 0, -127, matrix[..., FULL_SOURCE])
    generated = generate(model, HardwareConfig(lanes=2))
    first, second = (plan.packing for plan in generated.plan.layers)
    if decoder:
        plan = generated.plan.decoder
        columns = decoder_columns(model.decoder, plan, second)[LANE]
        weights = _place(plan, [(model.decoder.weight[np.newaxis], second.slot_of, [0])])
    else:
        plan = generated.plan.layers[LAYER]
        columns = layer_columns(layer, plan, first)[LANE]
        recurrent = second.slot_of + plan.inputs
        weights = _place(plan, [(layer.input_weight, first.slot_of, [0, 1, 2]), (layer.recurrent_weight, recurrent, [0, 1, 3])])
    images = {image.name: image for image in generated.memories}
    pointers, entries = (images[f"{plan.name}_lane{LANE}_{kind}"] for kind in ("pointers", "entries"))
    parameters: dict[str, Parameter] = {
        "Inputs": plan.inputs,
        "Columns": plan.columns,
        "Entries": len(entries.words),
        "CountBits": pointers.bits - max(1, (len(entries.words) - 1).bit_length()),
        "IndexBits": (max(plan.inputs, plan.recurrent) - 1).bit_length(),
        "EventBits": model.formats.event_bits,
        "WeightBits": plan.weight_bits,
        "AccBits": plan.acc_bits,
        "Rows": plan.packing.rows,
        "Fields": plan.fields,
        "PointerFile": pointers.file,
        "EntryFile": entries.file,
    }
    files = {image.file: image.text() for image in (pointers, entries)}
    return LaneCase(plan, parameters, entries.bits, entries.words, files, columns, weights)


def _place(plan: MatrixPlan, parts: list[tuple[np.ndarray, np.ndarray, list[int]]]) -> np.ndarray:
    """Lay out (gates, rows, sources) matrices by the lane's row, field and physical column."""
    mine = plan.packing.lane_of == LANE
    weights = np.zeros((plan.packing.rows, plan.fields, plan.columns), np.int64)
    for matrix, column_of, fields in parts:
        for gate, field in enumerate(fields):
            weights[np.ix_(plan.packing.row_of[mine], np.array([field]), column_of)] = matrix[gate, mine][:, np.newaxis]
    return weights
