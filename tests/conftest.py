"""Fixtures and settings every suite shares."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.rig.fixtures"]

# The machines this runs on are small and shared: a deadline would test them, not the code.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1000)
settings.load_profile("default")
