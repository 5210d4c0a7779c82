"""Acceptance on real engines: `tideline run` as its users have it, one instance for the whole folder."""
