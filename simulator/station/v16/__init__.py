"""OCPP 1.6: what a station answers to each request of the central system, a module per feature profile."""
