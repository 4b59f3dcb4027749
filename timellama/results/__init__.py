"""Reads finished runs."""
