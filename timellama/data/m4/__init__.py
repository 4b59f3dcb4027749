"""The M4 competition's archive: its series, frequencies and windows."""
