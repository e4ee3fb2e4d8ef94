"""The closed policy profile: terms as values, as ODRL 2.2, and as sentences."""
