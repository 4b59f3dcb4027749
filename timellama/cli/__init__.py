"""The command line `timellama`: one file a command, each thin; the work is in the modules below it."""
