"""How data are used: read as a file, or asked in place with SQL."""
