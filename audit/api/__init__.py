"""The ledger over REST: entries, proofs, checkpoints."""
