"""The OCPP-J protocol without input or output: frames, error codes, validation and typed messages."""
