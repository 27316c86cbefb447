"""Packs: what chunks rest in. Written by PackSink, read by FrameReader; the byte layout is in ``layout``."""
