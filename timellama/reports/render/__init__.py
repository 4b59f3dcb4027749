"""From a table to the text of a file."""
