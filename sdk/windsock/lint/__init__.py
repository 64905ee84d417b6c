"""Find problems in a flag document, with their places and fixes. No I/O."""
