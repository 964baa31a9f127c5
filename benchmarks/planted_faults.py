"""Faults in the reference, the exporter and the generator: what they are, and the test that must turn red.

A fault is planted in a copy of the sources; nothing but the test that is named runs there.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sim.build_cache import PACKAGE_ROOT, BenchError, log_excerpt
from sim.proving import Fault, with_fault

#: What of the checkout the tests need.
_COPIED = ("benchmarks", "boards", "egru", "examples", "hls_gen", "rtl_templates", "sim", "sw_model", "tests", "pyproject.toml")

_FIXED, _REFERENCE, _MODEL = "sw_model/fixed_point.py", "sw_model/reference.py", "sw_model/quantized_model.py"
_QUANTIZERS, _EXPORT = "sw_model/quantizers.py", "sw_model/export.py"
_SPARSE, _IMAGE, _LOADING = "hls_gen/sparse_encoding.py", "hls_gen/memory_image.py", "hls_gen/weight_image.py"
_TEST_FIXED, _TEST_REFERENCE = "tests/sw_model/test_fixed_point.py::test_", "tests/sw_model/test_reference.py::test_"
_TEST_NETWORK = "tests/sw_model/test_equivalence.py::test_fake_quantised_network_equals_the_integer_reference[1]"
_TEST_QUANTIZERS, _TEST_SPARSE = "tests/sw_model/test_quantizers.py::test_", "tests/hls_gen/test_sparse_encoding.py::test_"
_TEST_RTL, _TEST_LOADING = "tests/hls_gen/test_rtl_backend.py::test_", "tests/hls_gen/test_weight_image.py::test_"
_TEST_HLS = "tests/hls/test_egru_top.py::test_equals_the_reference[two_layers_4_bit_groups_of_gates_narrow_formats]"

#: What is wrong, and how; ``module`` is the file, ``breaks`` pytest's name of the test.
FAULTS: dict[str, Fault] = {
    "integers are rounded down": Fault(
        _FIXED, "return (v + (1 << (shift - 1))) >> shift", "return v >> shift", _TEST_FIXED + "rescale_rounds_half_up"
    ),
    "real numbers are rounded half to even": Fault(
        _FIXED,
        'return shifted.floor() if hasattr(shifted, "floor") else np.floor(shifted)',
        'return (shifted - 0.5).round() if hasattr(shifted, "round") else np.round(shifted - 0.5)',
        _TEST_FIXED + "ties_go_up_in_every_kind_of_number",
    ),
    "the largest two's complement integer is one too large": Fault(
        _FIXED, "-(1 << (bits - 1)), (1 << (bits - 1)) - 1", "-(1 << (bits - 1)), 1 << (bits - 1)", _TEST_FIXED + "limits"
    ),
    "a table is read one entry behind its end": Fault(
        _FIXED, "0, TABLE_SIZE - 1)", "0, TABLE_SIZE)", _TEST_FIXED + "table_index_saturates_and_rounds"
    ),
    "a state equal to the threshold is an event": Fault(
        _REFERENCE, "fired = c_hat > layer.threshold", "fired = c_hat >= layer.threshold", _TEST_REFERENCE + "candidate_equal_to_threshold"
    ),
    "an event's value is not limited": Fault(
        _REFERENCE,
        "np.minimum(rescale(c_hat, state, formats.event_bits), formats.event_max)",
        "rescale(c_hat, state, formats.event_bits)",
        _TEST_REFERENCE + "event_value_is_capped_at_its_largest",
    ),
    "an event of value 0 is none": Fault(
        _REFERENCE, "y=value * fired, fired=fired)", "y=value * fired, fired=value * fired > 0)", _TEST_REFERENCE + "an_event_whose_value"
    ),
    "an event sets the state to zero": Fault(_REFERENCE, "c=c_hat - layer.threshold * fired", "c=c_hat * ~fired", _TEST_NETWORK),
    "inputs of the gates z and r change places": Fault(
        _REFERENCE,
        "a_z = preactivation(acc.z) + p[..., 0, :]\n    a_r = preactivation(acc.r) + p[..., 1, :]",
        "a_z = preactivation(acc.z) + p[..., 1, :]\n    a_r = preactivation(acc.r) + p[..., 0, :]",
        _TEST_NETWORK,
    ),
    "sums of the gates z and r change places in the batched form": Fault(
        _REFERENCE,
        "z=below[:, 0] + recurrent[:, 0], r=below[:, 1] + recurrent[:, 1]",
        "z=below[:, 1] + recurrent[:, 1], r=below[:, 0] + recurrent[:, 0]",
        _TEST_REFERENCE + "batched_and_event_driven_reference_agree",
    ),
    "the last event of a step is not walked": Fault(
        _REFERENCE,
        "for source in np.flatnonzero(fired):",
        "for source in np.flatnonzero(fired)[:-1]:",
        _TEST_REFERENCE + "batched_and_event_driven_reference_agree",
    ),
    "products are summed in more bits than float32 holds": Fault(
        _REFERENCE, "_LIMIT = 1 << 24", "_LIMIT = 1 << 28", _TEST_REFERENCE + "sums_beyond_what_float32_holds_are_exact"
    ),
    "an input is saturated once instead of twice": Fault(
        _MODEL,
        "scaled = saturate(rescale(product.astype(np.int64), frac, formats.preact_frac), *formats.preact_limits)",
        "scaled = rescale(product.astype(np.int64), frac, formats.preact_frac)",
        "tests/sw_model/test_quantized_model.py::test_input_table_saturates_twice",
    ),
    "training rounds half to even": Fault(
        _QUANTIZERS,
        "result: Tensor = round_half_up(x)\n",
        "result: Tensor = torch.round(x)\n",
        _TEST_QUANTIZERS + "brevitas_rounds_half_up_here",
    ),
    "the time loop rounds down": Fault(
        _QUANTIZERS,
        "round_half_up(x * (1.0 / self._step)).clamp_",
        "torch.floor(x * (1.0 / self._step)).clamp_",
        _TEST_QUANTIZERS + "loop_quantiser_equals_brevitas_int_quant",
    ),
    "the exporter drops the signs of the weights": Fault(
        _EXPORT, ".numpy().astype(np.int8)", ".abs().numpy().astype(np.int8)", _TEST_NETWORK
    ),
    "the exporter takes the bias for the reset bias": Fault(_EXPORT, "layer.reset_bias.double()", "layer.bias.double()", _TEST_NETWORK),
    "the exporter states one fraction bit too many": Fault(
        _EXPORT, "weight_frac=arithmetic.weights[group].frac", "weight_frac=arithmetic.weights[group].frac + 1", _TEST_NETWORK
    ),
    "an entry's weight loses its sign": Fault(
        _SPARSE,
        "    weight = columns.weight & ((1 << weight_bits) - 1)",
        "    weight = columns.weight & ((1 << weight_bits - 1) - 1)",
        _TEST_SPARSE + "layout_of_single_entries",
    ),
    "the gates of a group change places": Fault(
        _SPARSE,
        "weights[:, 1] << weight_bits | weights[:, 0]",
        "weights[:, 0] << weight_bits | weights[:, 1]",
        _TEST_SPARSE + "layout_of_groups_of_gates",
    ),
    "a column begins one entry too late": Fault(
        _SPARSE, "((lane.start - 1) & mask)", "(lane.start & mask)", _TEST_SPARSE + "layout_of_the_directory"
    ),
    "a column's first weight is the next column's": Fault(
        _SPARSE, "LaneColumns(np.cumsum(count) - count,", "LaneColumns(np.cumsum(count),", _TEST_SPARSE + "a_layer_expands_to_its_weights"
    ),
    "entries go by field before row": Fault(
        _SPARSE, "np.lexsort((field, row, column, lane))", "np.lexsort((row, field, column, lane))", _TEST_SPARSE + "no_zero_is_stored"
    ),
    "a lane takes one row too many": Fault(
        "hls_gen/lane_packing.py",
        "if used + 1 < capacity:",
        "if used < capacity:",
        "tests/hls_gen/test_lane_packing.py::test_every_row_has_a_place_of_its_own",
    ),
    "a word is written with one digit too few": Fault(_IMAGE, "digits = -(-bits // 4)", "digits = bits // 4", _TEST_RTL + "memory_images"),
    "a negative word loses its sign": Fault(
        _IMAGE, "    mask = (1 << bits) - 1", "    mask = (1 << bits - 1) - 1", _TEST_RTL + "memory_images"
    ),
    "a memory is cut into slices of another width": Fault(
        _IMAGE, "(2048, 9)", "(2048, 8)", _TEST_RTL + "a_deep_memory_is_cut_into_slices_of_bits"
    ),
    "the last word of a memory is not loaded": Fault(
        _LOADING, "for word in image.words for part", "for word in image.words[:-1] for part", _TEST_LOADING + "a_host_writes_every_word"
    ),
    "a host names one part too many": Fault(
        _LOADING, "number << 20 | parts - 1 << 16", "number << 20 | parts << 16", _TEST_LOADING + "a_host_writes_every_word"
    ),
    "C++ rounds down": Fault(
        "rtl_templates/hls/lib/fixed_point.hpp",
        "Integer((value + (Integer(1) << (Shift - 1))) >> Shift)",
        "Integer(value >> Shift)",
        _TEST_HLS,
    ),
    "C++ takes a state equal to the threshold for an event": Fault(
        "rtl_templates/hls/lib/update.hpp", "fired = after > threshold;", "fired = after >= threshold;", _TEST_HLS
    ),
    "C++ forgets the last event of an update unit": Fault(
        "rtl_templates/hls/lib/update.hpp",
        "    next.write(item.pack());\n    put<32>(outside, word<32>(std",
        "    if (item.index + 1 < Block::lanes * Block::rows) next.write(item.pack());\n    put<32>(outside, word<32>(std",
        _TEST_HLS,
    ),
    "C++ finds a column one entry too late": Fault(
        "hls_gen/hls_backend.py", "(int(start) if count else 0)", "(int(start) + 1 if count else 0)", _TEST_HLS
    ),
}


def copy_sources(folder: Path) -> None:
    """Copy what the tests need into ``folder``, which does not exist."""
    folder.mkdir(parents=True)
    for name in _COPIED:
        path = PACKAGE_ROOT / name
        if path.is_dir():
            shutil.copytree(path, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(path, folder / name)


def found(fault: Fault, folder: Path, log: Path) -> bool:
    """Plant a fault in a copy of the sources, run its test, and take the fault out again.

    Args:
        fault: The fault.
        folder: The copy.
        log: Where pytest's words go.

    Returns:
        Whether the test fails.

    Raises:
        BenchError: When the text is not there once, or the test does not run.
    """
    path = folder / fault.module
    text = path.read_text()
    path.write_text(with_fault(text, fault))
    try:
        node, _, test = fault.breaks.partition("::")
        # A name without parameters stands for all its cases.
        chosen = [fault.breaks] if "[" in test else [node, "-k", test]
        with log.open("w") as file:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *chosen],
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "EGRU_BUILD_DIR": str(folder / "build")},
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
    finally:
        path.write_text(text)
    if done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise BenchError(f"{fault.breaks} does not run; {log}:\n{log_excerpt(log)}")
    return done.returncode == pytest.ExitCode.TESTS_FAILED
