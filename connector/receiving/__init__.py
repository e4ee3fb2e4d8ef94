"""What we received as a buyer: counted by ourselves, signed, and acknowledged to clearing."""
