"""The report of a sweep: figures described once, shown as a page, as SVG for a paper, and as a table in the terminal."""
