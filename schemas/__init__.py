"""The words: wire messages and values that the services share. No IO, no framework."""
