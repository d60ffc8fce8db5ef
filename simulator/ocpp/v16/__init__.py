"""OCPP 1.6 (edition 2) with its security extension: enumerations and messages."""
