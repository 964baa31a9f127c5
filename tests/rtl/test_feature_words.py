import pytest

from sim.benches.feature_words import KINDS, WORDS
from sim.runner import run_bench


@pytest.mark.parametrize(("channels", "index_bits", "event_bits"), [(13, 4, 8), (1, 1, 2), (200, 8, 7), (8, 3, 12)])
def test_feature_words(channels: int, index_bits: int, event_bits: int) -> None:
    parameters = {"Channels": channels, "IndexBits": index_bits, "EventBits": event_bits}
    report = run_bench("egru_feature_words", "sim.benches.feature_words", parameters=parameters).report
    assert len(report) == 9
    for counts in report.values():
        assert sum(counts[kind] for kind in KINDS) == WORDS
        assert all(counts[kind] >= 10 for kind in KINDS)
        assert counts["items"] == WORDS - counts["no channel"] - counts["no channel, with last"]
