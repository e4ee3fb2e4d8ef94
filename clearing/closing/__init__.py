"""The close of a period: recorded steps that go on where they stopped."""
