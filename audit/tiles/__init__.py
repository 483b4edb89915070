"""The log as static files that any C2SP tool can read: https://c2sp.org/tlog-tiles."""
