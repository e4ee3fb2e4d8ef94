"""Decentralized Claims Protocol 1.0.1: messages, credentials, DID documents. Pure."""
