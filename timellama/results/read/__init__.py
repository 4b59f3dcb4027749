"""Reads the files of a run: finds the run by what the user types, and checks its documents, arrays and rows."""
