"""Ordinary files of time series: what they hold is detected, read, and repaired by a named choice."""
