"""The station models that ship with the simulator: one JSON template per model, a tag list and example configurations.

The package holds data only; read its files with `importlib.resources.files("station_templates")`.
"""
