"""Registry ui edge."""
