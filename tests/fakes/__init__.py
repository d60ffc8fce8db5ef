"""Stand-ins for the world around the program under test."""
