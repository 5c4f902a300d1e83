"""Packs of a size to order: sizes planned together against one share for all."""
