"""The commands, one file each and each thin. What they share stands one folder up."""
