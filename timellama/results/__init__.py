"""Finished results, read back from disk."""
