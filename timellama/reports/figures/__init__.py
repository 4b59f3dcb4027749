"""What each figure shows."""
