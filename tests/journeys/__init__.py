"""Journeys: real processes from the first command to the last, and real people at the doors. Nothing of ours is imported."""
