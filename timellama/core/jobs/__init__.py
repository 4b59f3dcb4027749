"""A job among others: the folder that it holds, how far it is, how it fails, and how it stops when asked to."""
