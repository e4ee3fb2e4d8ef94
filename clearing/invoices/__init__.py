"""E-tax invoice drafts and UBL invoices, made of sealed statements."""
