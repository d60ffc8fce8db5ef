"""The simulator's configuration file: its model, its reading, and the form of a problem in a user's file."""
