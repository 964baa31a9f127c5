"""From a sweep's file and flags to its points, and every mistake that can be known beforehand."""

from pathlib import Path
from typing import Any

import pytest

from egru.sweep.grid import check, configure, expand, load_sweep, name_of
from egru.sweep.table import Point
from sw_model.datasets import load_text
from sw_model.errors import UserError

BASE = """
[base.dense]
steps = 6
network = { hidden_sizes = [6, 5] }
[base.prune]
steps = 4
pruning = { sparsity = 0.7, end_step = 2, interval = 1 }
activity = { target = 0.2, weight = 1.0 }
[base.qat]
steps = 3
quantization = { weight_bits = 4, decoder_bits = 4 }
[base.simulation]
steps = 40
"""


def points(tmp_path: Path, text: str, **axes: Any) -> list[Point]:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return expand(load_sweep(path, axes, {}))


def refused(tmp_path: Path, text: str, **axes: Any) -> str:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        look_at(path, axes)
    return str(caught.value)


def look_at(path: Path, axes: dict[str, Any]) -> None:
    config = load_sweep(path, axes, {})
    check({name_of(point): configure(config.base, point) for point in expand(config)}, load_text())


def test_every_value_meets_every_other_and_what_is_not_given_is_the_bases(tmp_path: Path) -> None:
    found = points(tmp_path, BASE + '[grid]\nsparsity = [0, 0.9]\nboard = ["icebreaker", "ulx3s_85f"]\n')
    assert [name_of(point) for point in found] == [
        "s0.00-global-w4-6x5-seed1-icebreaker",
        "s0.00-global-w4-6x5-seed1-ulx3s_85f",
        "s0.90-global-w4-6x5-seed1-icebreaker",
        "s0.90-global-w4-6x5-seed1-ulx3s_85f",
    ]
    assert found[0].lanes is None


def test_a_list_of_points_comes_after_the_grid(tmp_path: Path) -> None:
    first = '[[point]]\nsparsity = 0.905\nhidden_sizes = [7]\nlanes = "fit"\nseed = 3\n'
    text = BASE + "[base.hardware]\nlanes = 2\n" + first + "[[point]]\nweight_bits = 2\n"
    assert [name_of(point) for point in points(tmp_path, text)] == [
        "s0.905-global-w4-7-seed3-ulx3s_85f",
        "s0.70-global-w2-6x5-l2x2x2-seed1-ulx3s_85f",
    ]
    assert len(points(tmp_path, text, seed=[1, 2])) == 4


def test_without_pruning_the_methods_are_one(tmp_path: Path) -> None:
    found = points(tmp_path, BASE + '[grid]\nsparsity = [0, 0.5]\nmethod = ["layer", "gate-group"]\n')
    assert [(point.sparsity, point.method) for point in found] == [(0, "global"), (0.5, "layer"), (0.5, "gate-group")]


def test_flags_replace_the_axes_of_the_file(tmp_path: Path) -> None:
    found = points(tmp_path, BASE + "[grid]\nsparsity = [0, 0.9]\nseed = [1, 2]\n", sparsity=[0.3])
    assert [(point.sparsity, point.seed) for point in found] == [(0.3, 1), (0.3, 2)]


def test_without_a_file_the_recipe_is_the_demos() -> None:
    assert [point.hidden_sizes for point in expand(load_sweep(None, {"sparsity": [0.5]}, {}))] == [(112, 144)]


def test_every_network_is_trained_for_as_many_steps(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(BASE + "[grid]\nsparsity = [0, 0.9]\nseed = [5]\n")
    config = load_sweep(path, {}, {})
    dense, pruned = (configure(config.base, point) for point in expand(config))
    assert dense.prune.pruning is None
    assert pruned.prune.pruning is not None
    assert pruned.prune.pruning.sparsity == 0.9
    assert dense.prune == pruned.prune.model_copy(update={"pruning": None})
    assert (dense.dense, dense.qat) == (pruned.dense, pruned.qat)
    assert {phase.seed for phase in (dense.dense, dense.prune, dense.qat)} == {5}


def test_a_point_is_in_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(BASE + '[base.hardware]\nlanes = [2, 2, 1]\nengines = "per-layer"\n')
    config = load_sweep(path, {"method": ["column-balanced"], "weight_bits": [3], "hidden_sizes": [[8, 9]], "board": ["icebreaker"]}, {})
    (point,) = expand(config)
    flow = configure(config.base, point)
    assert flow.prune.pruning is not None
    assert flow.qat.quantization is not None
    assert flow.hardware is not None
    assert flow.prune.pruning.lanes == flow.hardware.lanes == (2, 2, 1)
    assert (flow.qat.quantization.weight_bits, flow.qat.quantization.decoder_bits) == (3, 3)
    assert flow.dense.network.hidden_sizes == (8, 9)
    assert (flow.build.board, flow.build.seeds) == ("icebreaker", (1, 2, 3))
    check({name_of(point): flow}, load_text())


@pytest.mark.parametrize(("sparsity", "expected"), [(0.7, (3, 10)), (0.5, (1, 2)), (0.75, (1, 4))])
def test_n_and_m_follow_the_sparsity(tmp_path: Path, sparsity: float, expected: tuple[int, int]) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(BASE)
    config = load_sweep(path, {"method": ["n-m"], "sparsity": [sparsity]}, {})
    (point,) = expand(config)
    pruning = configure(config.base, point).prune.pruning
    assert pruning is not None
    assert pruning.n_of_m == expected


MISTAKES = {
    "the sweep has no points: neither [grid] nor [[point]]; give an axis, ": "",
    "axis seed=[] is empty, so the sweep has no points; give it a value, or leave it out": "[grid]\nseed = []",
    "axis seed=[1, 2, 1] holds 1 twice; leave one of them out": "[grid]\nseed = [1, 2, 1]",
    "axis hidden_sizes=[[6, 5], [6, 5]] holds [6, 5] twice": "[grid]\nhidden_sizes = [[6, 5], [6, 5]]",
    "point s0.70-global-w4-6x5-seed2-ulx3s_85f occurs twice; leave one of them out": "[grid]\nseed = [2]\n[[point]]\nseed = 2",
    "point s0.70-global-w4-6x5-seed1-breadboard: board 'breadboard' is not known; known boards: ": '[grid]\nboard = ["breadboard"]',
    "key 'grid.sparsity.1' = 1 in ": "[grid]\nsparsity = [0, 1]",
    "key 'grid.sparsty' in ": "[grid]\nsparsty = [0]",
    "key 'qat.quantization.weight_bits' = 9 in point s0.70-global-w9-6x5-seed1-ulx3s_85f is not accepted": "[grid]\nweight_bits = [9]",
    "point s0.70-global-w4-6x5-l7x1x1-seed1-ulx3s_85f: lanes=7 of layer0 is outside 1 to 6": "[grid]\nlanes = [[7, 1, 1]]",
    "point s0.70-global-w4-6x5-l2x1-seed1-ulx3s_85f: lanes=": "[grid]\nlanes = [[2, 1]]",
    "method=column-balanced needs to know the lanes, which the board is to choose; ": '[grid]\nmethod = ["column-balanced"]',
    "key 'base.dense.stepz' in ": "[base.dense]\nstepz = 1",
}


@pytest.mark.parametrize("expected", MISTAKES)
def test_a_mistake_is_refused_by_name(tmp_path: Path, expected: str) -> None:
    text = MISTAKES[expected]
    assert refused(tmp_path, text if "[base.dense]" in text else BASE + text).startswith(expected)


def test_what_the_base_leaves_open_is_refused(tmp_path: Path) -> None:
    grid = "[grid]\nsparsity = [0.5]\n"
    for old, new, expected in (
        (", decoder_bits = 4", "", "weight_bits=4 and decoder_bits=8 in [base.qat] differ, "),
        ("quantization = ", "#", "table [base.qat] has no quantization, "),
        ("pruning = ", "#", "sparsity=0.5 has no schedule, because [base.prune] prunes nothing; "),
        ("steps = 40", "steps = 40_000_000", "key 'base.simulation.steps' = 40000000 in "),
        ("steps = 40", "steps = 900_000", "point s0.50-global-w4-6x5-seed1-ulx3s_85f: steps=900000 exceeds the "),
    ):
        assert refused(tmp_path, BASE.replace(old, new) + grid).startswith(expected)
    text = BASE + "[base.build]\nclock_mhz = 1.234\n" + '[grid]\nboard = ["tang_nano_20k"]\n'
    assert refused(tmp_path, text).startswith("point s0.70-global-w4-6x5-seed1-tang_nano_20k: ")
