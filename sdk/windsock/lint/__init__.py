"""What is wrong with a flag document, where, and what to do about it. No I/O."""
