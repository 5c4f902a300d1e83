"""The slicer service: models, plans and fragments."""
