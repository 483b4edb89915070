"""Registry api edge."""
