"""Measurements of the project's own claims; each module writes one file under ``results``."""
