"""The ledger: every change of the product, appended in the change's own transaction, provable to an outsider."""
