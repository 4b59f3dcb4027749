"""The catalogue of data sets: what its entries may hold, what they say, and which of their files are present."""
