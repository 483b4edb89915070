"""Runs one check: gathers its inputs, calls the sandbox or the check, judges the result. Workers only: loads numpy."""
