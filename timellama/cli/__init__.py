"""The command line `timellama`: its app and what its commands share. The work is in the rooms below it."""
