"""What usually goes wrong: the machine, the database, the flags, and how each evaluator buckets users."""
