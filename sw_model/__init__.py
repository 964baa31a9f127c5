"""What is computed: the EGRU in floating point, quantised, exported and as an integer reference.

`fixed_point`, `quantized_model`, `reference` and `macs` need numpy only; everything that trains needs torch and Brevitas.
"""
