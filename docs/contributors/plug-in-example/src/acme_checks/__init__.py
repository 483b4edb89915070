"""Checks of Acme, for Countersign."""
