"""The licensed relation: which columns, masked how, and which rows an agreement is about."""
