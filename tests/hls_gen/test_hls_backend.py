"""What the HLS backend refuses beside what cannot be said at all, which the suite of both backends checks."""

import pytest

from hls_gen import hls_backend
from hls_gen.hardware_config import HardwareConfig
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model


def test_sums_that_need_more_than_an_int_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(RandomModelSpec(hidden=(9, 7), classes=5, tokens=6, density=0.5, seed=3))
    config = HardwareConfig(lanes=(2, 3, 2))
    widest = max(block.acc_bits for block in hls_backend.generate(model, config).plan.blocks)
    # Thousands of dense neurons would be needed for the real limit.
    monkeypatch.setattr(hls_backend, "MAX_SUM_BITS", widest - 1)
    with pytest.raises(UserError, match=rf"^accumulator of {widest} bits in \w+ exceeds the {widest - 1} of HLS C\+\+; use fewer .* bits"):
        hls_backend.generate(model, config)
    monkeypatch.setattr(hls_backend, "MAX_SUM_BITS", widest)
    hls_backend.generate(model, config)
