"""Pure statistics: no files, no database, no clock. Each function names the paper and equation it follows."""
