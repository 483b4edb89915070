"""What others say about the log: witnesses, time stamps, anchors, beacons; and the witness that we ship.

``cosignatures``, ``policy``, ``protocol``, ``witness`` and ``server`` are pure of Django: the shipped witness runs with
nothing but these, ``audit.notes`` and ``audit.merkle``. See docs/adr/0013-witnesses-and-anchors.md.
"""
