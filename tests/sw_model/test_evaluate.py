from collections.abc import Callable

import numpy as np
import pytest
import torch

from sw_model import evaluate
from sw_model.errors import UserError
from sw_model.evaluate import deal, evaluate_model, evaluate_network
from sw_model.event_gru import EventNetwork, NetworkConfig
from sw_model.export import export_network
from sw_model.macs import count_events
from sw_model.quantizers import QuantizationConfig
from sw_model.random_model import RandomModelSpec, random_model


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


def test_network_and_integer_model_give_the_same_counts_and_digest(lively_network: Callable[..., EventNetwork]) -> None:
    network = lively_network(QuantizationConfig(), (12, 8), 2)
    tokens = np.random.default_rng(0).integers(0, 17, 400)
    model = export_network(network)
    found, wanted = evaluate_network(network.double(), tokens, 3, digest=True), evaluate_model(model, tokens, 3, digest=True)
    for ours, theirs in zip(found.events.sent + found.events.last, wanted.events.sent + wanted.events.last, strict=True):
        assert np.array_equal(ours, theirs)
    assert found.digest == wanted.digest
    assert found.digest is not None
    with torch.no_grad():
        network.decoder_weight[0, 0] += 2.0**-model.decoder.weight_frac
    changed = evaluate_network(network, tokens, 3, digest=True)
    assert changed.digest != wanted.digest
    assert changed.digest == evaluate_model(export_network(network), tokens, 3, digest=True).digest
    assert evaluate_network(network, tokens, 3).digest is None


@pytest.mark.parametrize("quantised", [True, False])
def test_a_digest_needs_integers(lively_network: Callable[..., EventNetwork], quantised: bool) -> None:
    # A quantised network in float32, and a float one in float64.
    network = lively_network(QuantizationConfig(), (4,), 1).float() if quantised else EventNetwork(NetworkConfig(tokens=17)).double()
    with pytest.raises(UserError, match="needs integers"):
        evaluate_network(network, np.zeros(100, np.int64), digest=True)


@pytest.mark.parametrize(("jobs", "chunk"), [(2, 64), (3, 7), (9, 64)])
def test_jobs_and_chunks_change_nothing(jobs: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(RandomModelSpec(hidden=(12, 8), seed=3))
    tokens = np.random.default_rng(3).integers(0, 16, 700)
    alone = evaluate_model(model, tokens, 5, digest=True)
    dealt = deal(tokens, 5)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(evaluate, "CHUNK", chunk)
    monkeypatch.setattr(evaluate, "deal", lambda *_: dealt)
    shared = evaluate_model(model, tokens, 5, jobs=jobs, digest=True, advance=lambda done, of: told.append((done, of)))
    assert shared.digest == alone.digest
    assert shared.bits_per_symbol == (alone.bits_per_symbol if chunk == 64 else pytest.approx(alone.bits_per_symbol, rel=1e-14))
    counted = count_events(model, dealt[:, :-1])
    for found, wanted in zip(shared.events.sent + shared.events.last, counted.sent + counted.last, strict=True):
        assert np.array_equal(found, wanted)
    assert shared.symbols == counted.steps == dealt[:, 1:].size
    assert sum(done for done, _ in told) == dealt[:, 1:].size
    assert {of for _, of in told} == {dealt[:, 1:].size}
