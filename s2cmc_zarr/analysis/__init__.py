"""Analyses: a kernel is mapped over scenes, and what it counts is put into tables."""
