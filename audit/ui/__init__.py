"""Audit ui edge."""
