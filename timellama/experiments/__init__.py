"""From a configuration to its runs."""
