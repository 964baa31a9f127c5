"""Simulation: the runner, drivers, the scoreboard and one bench per module.

The hardware is compared with `sw_model.reference`, always with ``==``.
"""
