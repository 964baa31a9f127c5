from collections.abc import Callable

import numpy as np
import pytest

from sw_model.errors import UserError
from sw_model.evaluate import deal, evaluate_model, evaluate_network
from sw_model.event_gru import EventNetwork
from sw_model.export import export_network
from sw_model.quantizers import QuantizationConfig


def test_streams_overlap_by_one_symbol() -> None:
    dealt = deal(np.arange(1001), 5)
    assert dealt.shape == (5, 201)
    assert dealt[0, -1] == dealt[1, 0] == 200
    assert dealt[-1, -1] == 1000


def test_short_texts_get_fewer_streams() -> None:
    assert deal(np.arange(130), 16).shape == (2, 65)
    assert deal(np.arange(5), 16).shape == (1, 5)
    with pytest.raises(UserError, match="leaves nothing to predict"):
        deal(np.arange(1), 4)


def test_network_and_integer_model_give_the_same_figures(lively_network: Callable[..., EventNetwork]) -> None:
    network = lively_network(QuantizationConfig(), (12, 8), 2)
    tokens = np.random.default_rng(0).integers(0, 17, 400)
    model = export_network(network)
    network.double()
    found, wanted = evaluate_network(network, tokens, 3), evaluate_model(model, tokens, 3)
    assert found.event_density == wanted.event_density
    assert found.total_event_density == wanted.total_event_density
    assert found.symbols == wanted.symbols == 399
    assert found.bits_per_symbol == pytest.approx(wanted.bits_per_symbol, rel=1e-12)
    assert found.perplexity == pytest.approx(2**found.bits_per_symbol)
    assert network.training
