"""`python -m timellama`: the command line, where the script `timellama` is not on the path."""

from timellama.cli.main import app

app()
