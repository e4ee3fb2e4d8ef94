"""Periods and their statements in whole won."""
