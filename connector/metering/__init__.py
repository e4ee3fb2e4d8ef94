"""What was used: durable records, holds on deposits, delivery to clearing."""
