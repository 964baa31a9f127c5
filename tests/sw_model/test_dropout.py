import pytest
import torch
from pydantic import ValidationError

from sw_model.dropout import Dropout, DropoutMasks, Mask, MaskShapes

CPU = torch.device("cpu")
SHAPES = MaskShapes(steps=40, tokens=50, embedding=60, hidden=(30, 20))
EVERYWHERE = Dropout(word=0.5, embedding=0.2, between=0.3, decoder=0.4, recurrent=0.6)


def _masks(masks: DropoutMasks) -> dict[str, Mask | None]:
    named = {"word": masks.word, "embedding": masks.embedding, "decoder": masks.decoder}
    for kind, several in (("between", masks.between), ("recurrent", masks.recurrent)):
        named |= {f"{kind}.{index}": mask for index, mask in enumerate(several)}
    return named


def test_masks_have_the_shape_of_what_they_drop() -> None:
    shapes = {name: tuple(mask.keep.shape) for name, mask in _masks(DropoutMasks.allocate(EVERYWHERE, SHAPES, CPU)).items() if mask}
    assert shapes == {
        "word": (50, 1),
        "embedding": (40, 1, 60),
        "between.0": (40, 1, 30),
        "decoder": (40, 1, 20),
        "recurrent.0": (3, 30, 30),
        "recurrent.1": (3, 20, 20),
    }


def test_a_kind_drops_its_share_and_the_expectation_stays() -> None:
    torch.manual_seed(0)
    for name, mask in _masks(DropoutMasks.allocate(EVERYWHERE, SHAPES, CPU).draw()).items():
        assert mask is not None
        probability = float(getattr(EVERYWHERE, name.split(".")[0]))
        entries = mask.keep.numel()
        deviation = (probability * (1 - probability) / entries) ** 0.5
        assert abs(float(mask.keep.double().mean()) - (1 - probability)) < 4 * deviation, name
        assert mask.scale * (1 - probability) == pytest.approx(1.0, rel=1e-15)


def test_a_mask_multiplies_by_zero_or_its_scale() -> None:
    mask = Mask(torch.tensor([True, False, True]), 1.25)
    assert mask.factors(torch.float64).tolist() == [1.25, 0.0, 1.25]
    assert mask.factors(torch.bfloat16).dtype == torch.bfloat16
    assert mask.apply(torch.tensor([[4.0, 5.0, -6.0]])).tolist() == [[5.0, 0.0, -7.5]]


@pytest.mark.parametrize("kind", Dropout.model_fields)
def test_what_is_not_dropped_has_no_mask(kind: str) -> None:
    masks = _masks(DropoutMasks.allocate(Dropout.model_validate({kind: 0.5}), SHAPES, CPU).draw())
    assert {name.split(".")[0] for name, mask in masks.items() if mask is not None} == {kind}


def test_masks_follow_from_the_seed_and_are_drawn_in_place() -> None:
    """A captured graph keeps the addresses that it was captured with."""
    masks = DropoutMasks.allocate(EVERYWHERE, SHAPES, CPU)
    torch.manual_seed(3)
    first = {name: mask.keep.clone() for name, mask in _masks(masks.draw()).items() if mask}
    addresses = [mask.keep.data_ptr() for mask in _masks(masks).values() if mask]
    second = {name: mask.keep.clone() for name, mask in _masks(masks.draw()).items() if mask}
    torch.manual_seed(3)
    third = {name: mask.keep for name, mask in _masks(masks.draw()).items() if mask}
    assert addresses == [mask.data_ptr() for mask in third.values()]
    for name, keep in first.items():
        assert not torch.equal(keep, second[name]), name
        assert torch.equal(keep, third[name]), name


@pytest.mark.parametrize("probability", [-0.1, 1.0])
@pytest.mark.parametrize("kind", Dropout.model_fields)
def test_a_probability_is_at_least_zero_and_below_one(kind: str, probability: float) -> None:
    with pytest.raises(ValidationError, match=kind):
        Dropout.model_validate({kind: probability})
