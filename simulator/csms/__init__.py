"""The embedded central system of OCPP 1.6: for the demo, the tests and the benchmarks, and as a program of its own."""

from simulator.csms.central import CentralSystem, passwords, station_id_of
from simulator.csms.ledger import Ledger, LedgerTransaction
from simulator.csms.link import CallFailed, CallRejected, CallUnanswered, Link, StationNotConnected
from simulator.csms.policy import BootPolicy, TagEntry, TagTable
from simulator.csms.run import run_csms
from simulator.csms.station import ConnectorReport, Station
from simulator.csms.violations import StationViolation, ViolationKind

__all__ = [
    "BootPolicy",
    "CallFailed",
    "CallRejected",
    "CallUnanswered",
    "CentralSystem",
    "ConnectorReport",
    "Ledger",
    "LedgerTransaction",
    "Link",
    "Station",
    "StationNotConnected",
    "StationViolation",
    "TagEntry",
    "TagTable",
    "ViolationKind",
    "passwords",
    "run_csms",
    "station_id_of",
]
