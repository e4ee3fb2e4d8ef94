"""What buyers have signed of what they received, beside what suppliers metered."""
