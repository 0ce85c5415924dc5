"""A second, small test server for Salesforce, written only from Salesforce's and m3ter's documents.

It shares no code with the sandbox. Its packages name their objects and fields as m3ter's API and
Console do, not as our metadata does. So a wrong assumption of one server shows with the other.
"""
