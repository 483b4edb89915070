"""Settings by deployment: ``base`` holds what is common, ``prod``, ``dev`` and ``test`` what differs."""
