"""From tables to sums: exposures joined to outcomes where the data is, and only aggregates brought back."""
