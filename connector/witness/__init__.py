"""Being a witness of clearing's log: what we have seen of it, and cosigning what continues that."""
