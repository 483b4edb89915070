"""Governance api edge."""
