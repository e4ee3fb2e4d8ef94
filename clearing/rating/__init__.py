"""What usage costs: cumulative functions."""
