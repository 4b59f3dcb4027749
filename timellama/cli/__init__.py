"""The command line `timellama`: its app and what its commands share. The work is done by the other packages."""
