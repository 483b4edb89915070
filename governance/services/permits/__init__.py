"""Permits: made after the last signature by two signers that hold a key each, suspended, resumed and ended by people or time.

``issuing`` makes them, ``life`` changes them, ``lists`` publishes what they are, ``scope`` says what one says.
"""

from governance.services.permits.life import expire_due, resume, revoke, suspend

__all__ = ["expire_due", "resume", "revoke", "suspend"]
