"""The commands, one thin file each. Their shared code is one folder up."""
