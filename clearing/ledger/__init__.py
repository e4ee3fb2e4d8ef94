"""The books: accounts, entries, holds."""
