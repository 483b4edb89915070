"""The ledger at scale: how fast it takes, proves, verifies and publishes."""
