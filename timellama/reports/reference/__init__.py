"""A finished configuration, kept in the repository and checked."""
