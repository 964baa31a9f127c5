"""Comparing across sparsity levels: a grid of points, each trained, proved and built, and the table of what came out."""
