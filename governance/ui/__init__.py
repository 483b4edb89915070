"""Governance ui edge."""
