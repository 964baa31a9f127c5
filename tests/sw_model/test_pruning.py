from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from sw_model import checkpoint
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork, NetworkConfig
from sw_model.export import export_checkpoint
from sw_model.pruning import apply_masks, density, magnitude_masks, prunable, require_fit
from sw_model.pruning_config import Method, PruningConfig, PruningStructure
from sw_model.train import TrainConfig, run_phase

#: 8 rows on 3 lanes and 7 classes on 2 are uneven; 24 entries a column are no multiple of 7.
STRUCTURES = {
    "global": PruningStructure(),
    "layer": PruningStructure(method="layer"),
    "column-balanced": PruningStructure(method="column-balanced", lanes=(3, 2, 2)),
    "n-m": PruningStructure(method="n-m", n_of_m=(2, 7)),
    "gate-group": PruningStructure(method="gate-group"),
}
SCHEDULE = (0.0, 0.1, 0.35, 0.5, 0.6, 0.7, 5 / 7)


def make_network(seed: int = 0, *, tied: bool = False) -> EventNetwork:
    torch.manual_seed(seed)
    return EventNetwork(NetworkConfig(tokens=7, embedding_size=6 if tied else 4, hidden_sizes=(8, 6), tied_decoder=tied))


@pytest.fixture
def network() -> EventNetwork:
    return make_network()


def by_gate(tensor: Tensor) -> Tensor:
    """View a matrix as (gates, rows, sources); the decoder has one gate."""
    return tensor if tensor.ndim == 3 else tensor[None]


def lanes_of(name: str) -> int:
    lanes = STRUCTURES["column-balanced"].lanes
    assert isinstance(lanes, tuple)
    return {"layers.0": lanes[0], "layers.1": lanes[1], "decoder_weight": lanes[2]}[name.rsplit(".", 1)[0]]


def distinct(counts: Tensor) -> list[int]:
    return sorted(set(counts.flatten().tolist()))


def lane_cells(tensor: Tensor, lanes: int, lane: int) -> Tensor:
    """Return what a lane has of each column, (cells, sources)."""
    return by_gate(tensor)[:, lane::lanes].flatten(0, 1)


def column_blocks(tensor: Tensor, m: int) -> list[Tensor]:
    """Return the blocks of every column as the hardware walks it: rows outside, gates inside; (sources, up to m)."""
    gates, rows, _ = by_gate(tensor).shape
    entries = [by_gate(tensor)[gate, row] for row in range(rows) for gate in range(gates)]
    return [torch.stack(entries[start : start + m], dim=1) for start in range(0, gates * rows, m)]


def units(method: str, weights: dict[str, Tensor]) -> list[Tensor]:
    """Return what competes with each other, as rows of a matrix per unit: (units, weights)."""
    match method:
        case "global":
            return [torch.cat([w.flatten() for w in weights.values()])[None]]
        case "layer":
            return [w.flatten()[None] for w in weights.values()]
        case "column-balanced":
            return [lane_cells(w, lanes_of(name), lane).t() for name, w in weights.items() for lane in range(lanes_of(name))]
        case "n-m":
            return [block for w in weights.values() for block in column_blocks(w, 7)]
    raise AssertionError(method)


def gradually(network: EventNetwork, structure: PruningStructure, sparsities: tuple[float, ...] = SCHEDULE) -> dict[str, Tensor]:
    """Prune as training does; the weights move between two prunings."""
    masks: dict[str, Tensor] = {}
    for sparsity in sparsities:
        masks = magnitude_masks(network, sparsity, structure, masks)
        with torch.no_grad():
            for weight in prunable(network).values():
                weight += 0.05 * torch.randn(weight.shape)
        apply_masks(network, masks)
    return masks


def test_every_method_is_tested() -> None:
    assert STRUCTURES.keys() == set(get_args(Method))


def test_only_matrices_that_become_macs_are_pruned(network: EventNetwork) -> None:
    assert prunable(network).keys() == {"layers.0.recurrent_weight", "layers.1.recurrent_weight", "layers.1.weight", "decoder_weight"}


@pytest.mark.parametrize("method", STRUCTURES)
def test_a_tied_decoder_is_not_pruned(method: str) -> None:
    """It is the embedding too."""
    network = make_network(tied=True)
    structure = STRUCTURES[method]
    if isinstance(structure.lanes, tuple):
        structure = structure.model_copy(update={"lanes": structure.lanes[:2]})
    before = network.get_parameter("embedding").detach().clone()
    masks = gradually(network, structure)
    assert masks.keys() == {"layers.0.recurrent_weight", "layers.1.recurrent_weight", "layers.1.weight"}
    assert torch.equal(network.get_parameter("embedding"), before)
    assert density(network) == pytest.approx(1 - SCHEDULE[-1], abs=0.04)
    assert all(holds(method, name, mask) for name, mask in masks.items())


def test_smallest_weights_of_all_matrices_go(network: EventNetwork) -> None:
    before = torch.cat([w.detach().abs().flatten() for w in prunable(network).values()]).sort().values
    masks = magnitude_masks(network, 0.75)
    apply_masks(network, masks)
    total, dropped = len(before), round(0.75 * len(before))
    left = torch.cat([w.detach().abs().flatten() for w in prunable(network).values()])
    assert int((left == 0).sum()) == dropped
    assert float(left[left > 0].min()) == float(before[dropped])
    assert density(network) == pytest.approx((total - dropped) / total)


# What holds for every method


@pytest.mark.parametrize("method", ["global", "layer", "column-balanced", "n-m"])
@given(seed=st.integers(0, 1000), sparsity=st.floats(0.0, 0.8))
@settings(max_examples=25, deadline=None)
def test_each_unit_keeps_its_share_and_its_largest_weights(method: str, seed: int, sparsity: float) -> None:
    network = make_network(seed)
    masks = magnitude_masks(network, sparsity, STRUCTURES[method])
    weights = {name: weight.detach().abs() for name, weight in prunable(network).items()}
    share = 1.0 - sparsity
    if method == "n-m":
        share = max(2, round(7 * share)) / 7
    for unit, kept in zip(units(method, weights), units(method, masks), strict=True):
        if method != "column-balanced":  # its columns compete with each other: see below
            assert bool(((kept.sum(dim=1) - share * kept.shape[1]).abs() <= 1.0).all())
        smallest_kept = unit.masked_fill(~kept, torch.inf).amin(dim=1)
        largest_dropped = unit.masked_fill(kept, -torch.inf).amax(dim=1)
        assert bool((smallest_kept > largest_dropped).all())


@pytest.mark.parametrize("method", STRUCTURES)
def test_masks_only_shrink_and_what_is_dropped_never_comes_back(method: str) -> None:
    network = make_network(3)
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in prunable(network).items()}
    for sparsity in SCHEDULE:
        # Weights that moved although they were masked, as between two optimiser steps, must not be chosen again.
        with torch.no_grad():
            for weight in prunable(network).values():
                weight.normal_()
        smaller = magnitude_masks(network, sparsity, STRUCTURES[method], masks)
        assert not any(bool((smaller[name] & ~masks[name]).any()) for name in masks)
        masks = smaller


@pytest.mark.parametrize("method", STRUCTURES)
def test_nothing_is_dropped_at_sparsity_zero(method: str, network: EventNetwork) -> None:
    assert all(bool(mask.all()) for mask in magnitude_masks(network, 0.0, STRUCTURES[method]).values())


@pytest.mark.parametrize("method", STRUCTURES)
def test_weights_that_all_tie_are_pruned_to_the_same_share(method: str, network: EventNetwork) -> None:
    loose = gradually(make_network(), STRUCTURES[method])
    with torch.no_grad():
        for weight in prunable(network).values():
            weight.fill_(0.5)
    tied = magnitude_masks(network, SCHEDULE[-1], STRUCTURES[method])
    counts = [sum(int(mask.sum()) for mask in masks.values()) for masks in (loose, tied)]
    assert abs(counts[0] - counts[1]) <= (2 if method in ("gate-group", "column-balanced") else 0)


@pytest.mark.parametrize("method", STRUCTURES)
def test_what_another_method_dropped_stays_dropped(method: str, network: EventNetwork) -> None:
    first = gradually(network, STRUCTURES["global"], (0.5,))
    second = magnitude_masks(network, 0.6, STRUCTURES[method], first)
    assert not any(bool((second[name] & ~first[name]).any()) for name in first)
    assert all(bool(mask.any()) for mask in second.values())


# The structures, after a gradual schedule


def test_every_matrix_has_the_same_sparsity(network: EventNetwork) -> None:
    for mask in gradually(network, STRUCTURES["layer"]).values():
        assert int(mask.sum()) == mask.numel() - round(SCHEDULE[-1] * mask.numel())


def balanced(name: str, mask: Tensor) -> bool:
    """Say whether the lanes of each column have equal counts, or all that they have where that is less."""
    lanes = lanes_of(name)
    cells = [lane_cells(mask, lanes, lane) for lane in range(lanes)]
    counts = torch.stack([cell.sum(dim=0) for cell in cells])
    sizes = torch.tensor([[len(cell)] for cell in cells])
    return torch.equal(counts, torch.minimum(sizes, counts.amax(dim=0)))


def test_every_lane_has_the_same_count_in_every_column_and_columns_differ(network: EventNetwork) -> None:
    masks = gradually(network, STRUCTURES["column-balanced"])
    assert all(balanced(name, mask) for name, mask in masks.items())
    for name, mask in masks.items():
        counts = torch.stack([lane_cells(mask, lanes_of(name), lane).sum(dim=0) for lane in range(lanes_of(name))])
        assert bool((counts == counts[0]).all()), name
        assert len(distinct(counts[0])) > 1, name


@given(seed=st.integers(0, 1000), sparsity=st.floats(0.0, 0.99))
@settings(max_examples=25, deadline=None)
def test_lanes_are_balanced_and_the_count_is_exact_to_one_weight_per_lane(seed: int, sparsity: float) -> None:
    masks = magnitude_masks(make_network(seed), sparsity, STRUCTURES["column-balanced"])
    assert all(balanced(name, mask) for name, mask in masks.items())
    total = sum(mask.numel() for mask in masks.values())
    dropped = total - sum(int(mask.sum()) for mask in masks.values())
    assert 0 <= round(sparsity * total) - dropped < 3


def test_the_best_columns_keep_most() -> None:
    """Two lanes of one row; three columns whose worth is clear."""
    network = EventNetwork(NetworkConfig(tokens=3, embedding_size=2, hidden_sizes=(2,)))
    with torch.no_grad():
        network.event_layers()[0].recurrent_weight.fill_(0.1)
        # A column with one large weight in one lane only is worth less than one with two middling weights.
        network.decoder_weight.copy_(torch.tensor([[0.9, 1.2], [0.9, 0.3], [0.5, 0.2]]))
    masks = magnitude_masks(network, 16 / 18, PruningStructure(method="column-balanced", lanes=(2, 2)))
    assert not masks["layers.0.recurrent_weight"].any()
    assert masks["decoder_weight"].tolist() == [[True, False], [True, False], [False, False]]


def test_at_most_n_of_m_and_exactly_n_in_whole_blocks(network: EventNetwork) -> None:
    for mask in gradually(network, STRUCTURES["n-m"]).values():
        for block in column_blocks(mask, 7):
            size = block.shape[1]
            assert distinct(block.sum(dim=1)) == [2 if size == 7 else -(-2 * size // 7)]


def test_a_gradual_schedule_goes_through_n_of_the_same_m(network: EventNetwork) -> None:
    found = []
    for sparsity in SCHEDULE:
        mask = magnitude_masks(network, sparsity, STRUCTURES["n-m"])["layers.0.recurrent_weight"]
        (count,) = distinct(column_blocks(mask, 7)[0].sum(dim=1))
        found.append(count)
    assert found == [7, 6, 5, 4, 3, 2, 2]


def test_gate_groups_live_or_die_together_and_the_count_is_exact_to_one_group(network: EventNetwork) -> None:
    masks = gradually(network, STRUCTURES["gate-group"])
    for name, mask in masks.items():
        if mask.ndim == 3:
            assert torch.equal(mask.any(dim=0), mask.all(dim=0)), name
    total = sum(mask.numel() for mask in masks.values())
    dropped = total - sum(int(mask.sum()) for mask in masks.values())
    assert 0 <= round(SCHEDULE[-1] * total) - dropped < 3


@given(seed=st.integers(0, 1000), sparsity=st.floats(0.0, 0.99))
@settings(max_examples=25, deadline=None)
def test_groups_of_largest_mean_square_stay_whatever_their_size(seed: int, sparsity: float) -> None:
    network = make_network(seed)
    masks = magnitude_masks(network, sparsity, STRUCTURES["gate-group"])
    score = torch.cat([by_gate(w.detach()).square().mean(dim=0).flatten() for w in prunable(network).values()])
    kept = torch.cat([by_gate(mask)[0].flatten() for mask in masks.values()])
    smallest_kept, largest_dropped = (score.masked_fill(~kept, torch.inf).min(), score.masked_fill(kept, -torch.inf).max())
    assert smallest_kept > largest_dropped


def holds(method: str, name: str, mask: Tensor) -> bool:
    match method:
        case "column-balanced":
            return balanced(name, mask)
        case "n-m":
            return all(max(distinct(block.sum(dim=1))) <= 2 for block in column_blocks(mask, 7))
        case "gate-group":
            return torch.equal(by_gate(mask).any(dim=0), by_gate(mask).all(dim=0))
        case "layer":
            return int(mask.sum()) == mask.numel() - round(5 / 7 * mask.numel())
    return True


@pytest.mark.parametrize("method", STRUCTURES)
def test_the_structure_holds_from_the_schedule_through_qat_into_the_integers(method: str, text: TextDataset, tmp_path: Path) -> None:
    structure = STRUCTURES[method].model_dump(exclude_none=True) | {"sparsity": 5 / 7}
    common: dict[str, Any] = {"streams": 4, "chunk": 8, "learning_rate": 0.02, "checkpoint_every": 0}
    pruning = {**structure, "end_step": 8, "interval": 2}
    prune = TrainConfig.model_validate(
        common | {"steps": 12, "network": {"hidden_sizes": (8, 6), "embedding_size": 4, "threshold_mean": 0.1}, "pruning": pruning}
    )
    metrics = run_phase(prune, text, tmp_path / "pruned", progress=False)
    assert metrics["weight_density"] == pytest.approx(2 / 7, abs=0.04)
    qat = TrainConfig.model_validate(common | {"steps": 6, "quantization": {"weight_bits": 8}})
    run_phase(qat, text, tmp_path / "quantised", tmp_path / "pruned", progress=False)
    before, after = checkpoint.load(tmp_path / "pruned"), checkpoint.load(tmp_path / "quantised")
    assert before.masks().keys() == after.masks().keys() == prunable(after.network()).keys()
    model = export_checkpoint(tmp_path / "quantised")
    integers = {"decoder_weight": model.decoder.weight}
    for index, layer in enumerate(model.layers):
        integers |= {f"layers.{index}.recurrent_weight": layer.recurrent_weight, f"layers.{index}.weight": layer.input_weight}
    for name, mask in before.masks().items():
        assert torch.equal(mask, after.masks()[name])
        kept = torch.as_tensor(integers[name] != 0)
        assert not bool((kept & ~mask).any())
        assert bool(kept.any())
        assert holds(method, name, mask), name


def test_a_second_phase_of_pruning_brings_nothing_back(text: TextDataset, tmp_path: Path) -> None:
    common = {"steps": 6, "streams": 4, "chunk": 8, "learning_rate": 0.02, "checkpoint_every": 0, "network": {"hidden_sizes": (8, 6)}}
    first = TrainConfig.model_validate(common | {"pruning": {"sparsity": 0.9, "schedule": "one-shot"}})
    # Blocks in which the first phase left less than three weights.
    second = TrainConfig.model_validate(common | {"pruning": {"method": "n-m", "n_of_m": (3, 7), "schedule": "one-shot"}})
    run_phase(first, text, tmp_path / "first", progress=False)
    run_phase(second, text, tmp_path / "second", tmp_path / "first", progress=False)
    before, after = checkpoint.load(tmp_path / "first").masks(), checkpoint.load(tmp_path / "second").masks()
    assert not any(bool((after[name] & ~before[name]).any()) for name in before)


def test_a_phase_refuses_lanes_that_do_not_fit_before_its_first_step(text: TextDataset, tmp_path: Path) -> None:
    pruning = {"sparsity": 0.5, "method": "column-balanced", "lanes": 9, "start_step": 500, "schedule": "one-shot"}
    config = TrainConfig.model_validate({"steps": 501, "network": {"hidden_sizes": (8,)}, "pruning": pruning})
    with pytest.raises(UserError, match="lanes=9 of layer 0 exceeds its 8 rows"):
        run_phase(config, text, tmp_path / "out", progress=False)
    assert not list(tmp_path.iterdir())


# The schedule


def test_cubic_schedule() -> None:
    config = PruningConfig(sparsity=0.8, start_step=10, end_step=110, interval=20)
    assert [step for step in range(130) if config.due(step)] == [10, 30, 50, 70, 90, 110]
    assert config.sparsity_at(5) == 0.0
    assert config.sparsity_at(10) == 0.0
    assert config.sparsity_at(60) == pytest.approx(0.8 * (1 - 0.5**3))
    assert config.sparsity_at(60, 0.4) == pytest.approx(0.8 - 0.4 * 0.5**3)
    assert config.sparsity_at(110) == config.sparsity_at(500) == 0.8
    assert not config.finished(109)
    assert config.finished(110)


def test_one_shot_schedule() -> None:
    config = PruningConfig(sparsity=0.5, schedule="one-shot", start_step=3)
    assert [step for step in range(9) if config.due(step)] == [3]
    assert config.sparsity_at(2, 0.1) == 0.1
    assert config.sparsity_at(3) == 0.5


# What is refused


@pytest.mark.parametrize(
    "values", [{"sparsity": 1.0}, {"sparsity": 0.5}, {"sparsity": 0.5, "end_step": 5, "start_step": 5}, {"sparsity": -0.1, "end_step": 5}]
)
def test_illegal_schedules_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        PruningConfig.model_validate(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "random"}, "Input should be 'global', 'layer', 'column-balanced', 'n-m' or 'gate-group'"),
        ({"method": "column-balanced"}, "method='column-balanced' needs lanes"),
        ({"method": "n-m"}, "method='n-m' needs n_of_m"),
        ({"lanes": 4}, "lanes=4 belongs to method='column-balanced', not to method='global': leave it out"),
        ({"method": "layer", "n_of_m": (1, 2)}, r"n_of_m=\[1, 2\] belongs to method='n-m', not to method='layer'"),
        ({"method": "column-balanced", "lanes": 0}, "lanes=0 must be at least 1"),
        ({"method": "column-balanced", "lanes": (4, -1)}, r"lanes=\[4, -1\] must be at least 1"),
        ({"method": "column-balanced", "lanes": ()}, r"lanes=\[\] must be at least 1"),
        ({"method": "n-m", "n_of_m": (0, 4)}, r"n_of_m=\[0, 4\] must be 1 <= N < M <= 64"),
        ({"method": "n-m", "n_of_m": (4, 4)}, r"n_of_m=\[4, 4\] must be"),
        ({"method": "n-m", "n_of_m": (9, 65)}, r"n_of_m=\[9, 65\] must be"),
        ({"method": "n-m", "n_of_m": (1, 4), "sparsity": 0.8}, r"sparsity=0.8 disagrees with n_of_m=\[1, 4\], which gives 0.75"),
    ],
)
def test_structures_that_make_no_sense_are_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PruningConfig.model_validate({"sparsity": 0.5, "end_step": 5} | values)


@pytest.mark.parametrize(("given_sparsity", "n_of_m"), [(None, (1, 8)), (0.88, (1, 8)), (0.67, (1, 3)), (0.875, (8, 64))])
def test_sparsity_follows_from_n_of_m_or_equals_it_as_rounded(given_sparsity: float | None, n_of_m: tuple[int, int]) -> None:
    values: dict[str, Any] = {"method": "n-m", "n_of_m": n_of_m, "end_step": 5}
    config = PruningConfig.model_validate(values if given_sparsity is None else values | {"sparsity": given_sparsity})
    exact = 1 - n_of_m[0] / n_of_m[1]
    assert config.sparsity == pytest.approx(exact, abs=0 if given_sparsity is None else 0.0051)
    network = EventNetwork(NetworkConfig(tokens=n_of_m[1], embedding_size=2, hidden_sizes=(n_of_m[1],)))
    apply_masks(network, magnitude_masks(network, config.sparsity_at(5), config))
    assert density(network) == pytest.approx(1 - exact)


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        ((2, 2), r"lanes=\[2, 2\] has 2 numbers for 2 layers and a decoder; give one number or 3"),
        (7, "lanes=7 of layer 1 exceeds its 6 rows; use 1 to 6"),
        ((4, 4, 8), "lanes=8 of the decoder exceeds its 7 rows; use 1 to 7"),
    ],
)
def test_lanes_that_do_not_fit_the_network_are_refused_by_name(lanes: int | tuple[int, ...], message: str) -> None:
    require_refusal(make_network(), lanes, message)


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        ((3, 2, 2), r"lanes=\[3, 2, 2\] has 3 numbers for 2 layers: the decoder is tied to the embedding, .*; give one number or 2"),
        ((9, 2), "lanes=9 of layer 0 exceeds its 8 rows; use 1 to 8"),
    ],
)
def test_a_tied_decoder_takes_no_lanes(lanes: tuple[int, ...], message: str) -> None:
    require_refusal(make_network(tied=True), lanes, message)


def require_refusal(network: EventNetwork, lanes: int | tuple[int, ...], message: str) -> None:
    structure = PruningStructure(method="column-balanced", lanes=lanes)
    with pytest.raises(UserError, match=message):
        require_fit(structure, network.config, network.config.tokens)
    with pytest.raises(UserError, match=message):
        magnitude_masks(network, 0.5, structure)
