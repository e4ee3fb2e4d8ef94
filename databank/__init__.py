"""산업데이터은행: ``import databank; db = databank.connect()``."""
