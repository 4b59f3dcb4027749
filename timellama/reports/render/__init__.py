"""Tables and figures in the languages they are printed in."""
