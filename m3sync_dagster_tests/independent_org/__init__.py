"""A second, terse stand-in for Salesforce, written from Salesforce's and m3ter's documents alone.

It shares no line with the sandbox, and its packages name their objects and fields as m3ter's API
and Console do, never as ours: what works with both does not rest on a belief of one of them.
"""
