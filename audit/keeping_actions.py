"""What the ledger says of its own keeping."""

from audit.actions import register

register("hold.set", "{actor} set the legal hold {object}")
register("hold.released", "{actor} released the legal hold {object}")
register("retention.set", "{actor} said how long entries are kept, in rule {object}")
register("retention.dropped", "{actor} took away rule {object} of how long entries are kept")
register("log.pruned", "{actor} dropped entries of {object} after their export")
