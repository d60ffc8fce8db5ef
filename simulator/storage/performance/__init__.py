"""Performance records on their way into files and databases."""
