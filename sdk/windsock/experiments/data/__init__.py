"""From tables to sums: exposures are joined to outcomes where the data is, and only aggregates leave it."""
