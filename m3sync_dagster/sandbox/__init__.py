"""Stand-ins for m3ter and Salesforce, and a sample organization to serve."""
