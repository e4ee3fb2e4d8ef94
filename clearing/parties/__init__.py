"""Who the participants of the books are, as last seen in the registry."""
