"""Time and memory, predicted and measured."""
