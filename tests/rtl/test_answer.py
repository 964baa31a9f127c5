import pytest

from sim.runner import run_bench


@pytest.mark.parametrize(("classes", "logit_store"), [(5, True), (1, True), (16, False), (40, True)])
def test_answer(classes: int, logit_store: bool) -> None:
    run_bench("egru_answer", "sim.benches.answer", parameters={"Classes": classes, "LogitStore": logit_store})
