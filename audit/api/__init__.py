"""Audit api edge."""
