"""One cocotb bench per module, of the module's name; `tests/rtl/test_<module>.py` launches it."""
