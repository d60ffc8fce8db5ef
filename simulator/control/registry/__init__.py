"""What is known of the fleet, as clients of the control protocol see it."""
