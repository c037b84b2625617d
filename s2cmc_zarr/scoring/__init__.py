"""Scores of cloud masks: models, confusion counts per scene, and the metrics that follow from them."""
