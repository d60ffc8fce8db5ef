"""How the property tests run: the same examples each time, however slow the machine is.

``pytest --hypothesis-profile=search`` looks for new ones instead: ten times as many, other ones in each run, and what
fails is kept in ``.hypothesis`` and tried first the next time.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# What `settings` of a test leave out comes from here. Times are pytest-timeout's business.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
