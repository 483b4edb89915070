"""What every governed row said before: kept by PostgreSQL itself, read through views of the tables' own names.

See docs/adr/0018-time-travel.md. ``tables`` says what is remembered, ``ddl`` how, ``install`` puts it into the database
after each ``migrate``, ``moments`` knows which checkpoint stands for which moment, ``inspection`` looks for tampering.
"""
