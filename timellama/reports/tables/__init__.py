"""What each table shows."""
