import pytest

from sim.runner import run_bench

BENCH = "sim.benches.uart_bridge"
SOME_TESTS = [
    "every_kind_is_executed_in_order/pace=BURSTS",
    "the_longest_requests_and_replies",
    "what_cannot_be_executed_is_refused_by_its_code",
    "a_repeated_request_is_answered_again_and_not_executed",
]


def test_uart_bridge() -> None:
    parameters = {"ClocksPerBit": 8, "MaxTokens": 32, "Classes": 5, "LogitStore": True}
    result = run_bench("egru_uart_bridge", BENCH, parameters=parameters)
    assert len(result.report) == 9
    assert all(count > 0 for count in result.report.values())


@pytest.mark.parametrize(
    ("clocks_per_bit", "max_tokens", "classes", "logit_store"), [(9, 42, 70, True), (8, 1, 1, False), (11, 4, 300, False)]
)
def test_other_shapes(clocks_per_bit: int, max_tokens: int, classes: int, logit_store: bool) -> None:
    run_bench(
        "egru_uart_bridge",
        BENCH,
        parameters={"ClocksPerBit": clocks_per_bit, "MaxTokens": max_tokens, "Classes": classes, "LogitStore": logit_store},
        testcase=SOME_TESTS,
    )


def test_words_of_a_feature_stream() -> None:
    parameters = {"ClocksPerBit": 8, "MaxTokens": 42, "ValueBits": 8, "Classes": 5}
    chosen = [*(name for name in SOME_TESTS if "refused" not in name), "a_step_pipelines"]
    report = run_bench("egru_uart_bridge", BENCH, parameters=parameters, testcase=chosen).report
    assert 0 < report["answers bursts"] < report["words bursts"]
