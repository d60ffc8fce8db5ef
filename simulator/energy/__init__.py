"""What a charging station delivers and measures: pure functions and small state, no input or output."""
