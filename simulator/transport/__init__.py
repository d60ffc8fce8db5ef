"""WebSocket connections between stations and central systems: both ends, TLS, and the pauses between tries."""
