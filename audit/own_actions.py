"""The ledger actions of tables against the log, each with its sentence."""

from audit.actions import register

register("ledger.reconciled", "{actor} compared {object} with the log")
register("ledger.row_adopted", "{actor} took over {object} as it was when the log began to vouch for whole rows")
register("ledger.adopted", "{actor} took over {object} as they were")
