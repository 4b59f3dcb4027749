"""Statistics of errors: intervals, tests, ranks, and how far a mean could be off."""
