"""A trained run applied to rows that it never saw, and the intervals around what it forecasts."""
