"""Profiles: counts of values in fixed bins, to compare the data of a model's requests with its training data.

A profile has no records and no values, only counts. Profiles with the same variables are added, so that those of
several workers, servers and hours give one profile of all records.
"""
