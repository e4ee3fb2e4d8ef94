"""The log: every receipt, agreement and statement is a leaf of one tree that only grows."""
