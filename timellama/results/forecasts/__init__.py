"""A trained run applied to unseen rows, and the intervals around its forecasts."""
