"""Pages of the audit log, one module per noun: the log, an entry with its proof, the state of the log."""
