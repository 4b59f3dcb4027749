"""Reads what a run left: finds it by what a person types, and checks its documents, arrays and rows."""
