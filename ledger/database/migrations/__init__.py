"""A step for each change of a ledger's tables, applied where it is asked for, and nowhere else.

A released step is never changed. It says in SQL of its own what it does: the tables as
the rest of the code knows them go on changing.
"""
