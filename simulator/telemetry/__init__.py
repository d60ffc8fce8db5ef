"""What the process tells of itself: the log, the statistics of the fleet, the frames on the wire."""
