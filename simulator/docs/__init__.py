"""The README's tables and the published JSON Schemas, made from the program: ``python -m simulator.docs``."""
