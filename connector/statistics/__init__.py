"""Audited statistics: what may be asked where rows may not leave, and what is answered."""
