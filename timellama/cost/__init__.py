"""Time and memory, predicted or measured."""
