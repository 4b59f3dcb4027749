"""From your own data to a leaderboard and a forecast: the entry points for the command line and Python."""
