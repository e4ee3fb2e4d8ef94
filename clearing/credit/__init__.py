"""Credit: how far a buyer may go beyond its deposit, and what follows when it does not pay."""
