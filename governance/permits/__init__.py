"""Permits as documents, without database and settings: what is signed, who signs, how anybody checks it.

``dsse`` writes the envelope and ``signed`` reads it, ``statement`` is the permit, ``trust`` the trust root, ``status`` the list
that revokes, ``openssf`` the root of OpenSSF model signing, ``keyfiles`` private keys. ``verifier`` says what holds and what
does not; ``verify_permit`` asks the same in one short program that people read and take along.
"""
