"""Runs Countersign on one machine: the embedded database, the broker and every process, under one supervisor.

Start with ``python -m config.runtime --help``. Nothing in here imports Django or an application.
"""
