from sim.runner import run_bench


def test_frame_buffer() -> None:
    run_bench("egru_frame_buffer", "sim.benches.frame_buffer")
