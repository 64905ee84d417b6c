"""The report: one HTML file with inline SVG, without scripts or external resources."""
