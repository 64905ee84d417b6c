"""The report: one HTML file with inline SVG, no script and nothing to load."""
