"""A charging station: its nursery, its life, and what it says and does in OCPP."""
