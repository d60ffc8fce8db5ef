"""A simulator of fleets of electric-vehicle charging stations that speak OCPP-J to a central system."""

__version__ = "0.1.0"
