"""Ordinary files of time series: what stands in them is found out, read, and repaired by a named choice."""
