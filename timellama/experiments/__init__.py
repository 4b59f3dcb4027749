"""From a configuration to its runs, without torch."""
