"""Simulation: the runner, drivers, the scoreboard and one bench per module; HLS C++ compiled and called.

The hardware is compared with `sw_model.reference`, always with ``==``.
"""
