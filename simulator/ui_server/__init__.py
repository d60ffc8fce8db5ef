"""The UI server: one port for the control protocol, the dashboard and the metrics."""
