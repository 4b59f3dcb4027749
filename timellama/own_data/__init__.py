"""Own data in, a leaderboard and a forecast out: the way in from the command line and from Python."""
