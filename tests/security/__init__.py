"""Attacks that were tried, each with what stops it. docs/threat-model.md tells the story."""
