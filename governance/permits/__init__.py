"""Permits as documents, without database and settings: what is signed, who signs, how anybody checks it.

``dsse`` the envelope, ``statement`` the permit, ``trust`` the trust root, ``status`` the list that revokes, ``openssf`` the
root of OpenSSF model signing, ``keyfiles`` private keys, ``verify_permit`` the verifier, which runs alone as well.
"""
