"""Fetches a file as it was published, from a mirror, an address, a package or the Hugging Face hub, or generates it."""
