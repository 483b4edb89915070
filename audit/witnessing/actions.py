"""What the log says about itself."""

from audit.actions import register

register("log.beacon", "{actor} logged a public random value, {object}: what follows is later than it")
register("log.heads", "{actor} logged the heads of all streams, {object}")
register("log.contradicted", "{actor} found that the log is contradicted by {object}")
