"""Drills: on real servers, killed in each phase, fed with what is wrong."""
