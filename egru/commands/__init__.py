"""One module per command, holding one function of the command's name.

A module imports torch, brevitas and cocotb only inside its function: the command line must start fast, and `egru doctor` must run where
they are missing.
"""
