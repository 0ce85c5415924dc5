"""Sandbox servers for m3ter and Salesforce, and a sample organization."""
