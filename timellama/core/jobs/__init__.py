"""A job among others: the folder that it locks, how far it has got, how it fails, and how it stops when asked to."""
