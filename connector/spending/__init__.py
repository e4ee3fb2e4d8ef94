"""What we spend as a buyer: by agreement and month, within the limit that our people set."""
