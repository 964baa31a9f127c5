from sim.runner import run_bench


def test_frame_receiver() -> None:
    run_bench("egru_frame_receiver", "sim.benches.frame_receiver")
