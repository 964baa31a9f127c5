import pytest
import torch
from pydantic import ValidationError

from sw_model.event_gru import EventNetwork, NetworkConfig
from sw_model.pruning import PruningConfig, apply_masks, density, magnitude_masks, prunable


@pytest.fixture
def network() -> EventNetwork:
    torch.manual_seed(0)
    return EventNetwork(NetworkConfig(tokens=7, embedding_size=4, hidden_sizes=(8, 6)))


def test_only_matrices_that_become_macs_are_pruned(network: EventNetwork) -> None:
    assert prunable(network).keys() == {"layers.0.recurrent_weight", "layers.1.recurrent_weight", "layers.1.weight", "decoder_weight"}


def test_smallest_weights_of_all_matrices_go(network: EventNetwork) -> None:
    before = torch.cat([w.detach().abs().flatten() for w in prunable(network).values()]).sort().values
    masks = magnitude_masks(network, 0.75)
    apply_masks(network, masks)
    total, dropped = len(before), round(0.75 * len(before))
    left = torch.cat([w.detach().abs().flatten() for w in prunable(network).values()])
    assert int((left == 0).sum()) == dropped
    assert float(left[left > 0].min()) == float(before[dropped])
    assert density(network) == pytest.approx((total - dropped) / total)


def test_masks_only_shrink(network: EventNetwork) -> None:
    first = magnitude_masks(network, 0.4)
    apply_masks(network, first)
    second = magnitude_masks(network, 0.6)
    for name, mask in second.items():
        assert not bool((mask & ~first[name]).any())


def test_exact_share_even_when_all_weights_tie(network: EventNetwork) -> None:
    with torch.no_grad():
        for weight in prunable(network).values():
            weight.fill_(0.5)
    masks = magnitude_masks(network, 0.5)
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == total - round(0.5 * total)


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


@pytest.mark.parametrize(
    "values", [{"sparsity": 1.0}, {"sparsity": 0.5}, {"sparsity": 0.5, "end_step": 5, "start_step": 5}, {"sparsity": -0.1, "end_step": 5}]
)
def test_illegal_schedules_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        PruningConfig.model_validate(values)
