"""Station templates: their model, their reading, and what one station of a template is (identity, electrics, tags)."""
