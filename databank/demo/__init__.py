"""The whole story on one machine, for people who have a minute."""
