"""Clients shared by the rooms above: databases, S3, HTTP; credentials, TLS, time-outs and rate limits in one place;
and what makes files of this machine durable.
"""
