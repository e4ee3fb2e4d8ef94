"""Usage batches: taken exactly once, rated and booked."""
