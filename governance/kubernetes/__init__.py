"""The gate of a cluster: what no active permit covers is not deployed there.

``review`` reads what Kubernetes asks, ``rules`` decides, ``permits`` knows which permits there are, ``journal`` keeps
what was let in by breaking the glass, ``server`` answers over TLS, ``check`` runs before the model server starts. None of
it needs Django, a database or the registry to be up: it verifies permits as an auditor would.
"""
