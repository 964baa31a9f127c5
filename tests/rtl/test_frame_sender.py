from sim.runner import run_bench


def test_frame_sender() -> None:
    run_bench("egru_frame_sender", "sim.benches.frame_sender")
