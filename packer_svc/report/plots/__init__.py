"""Plots as inline SVG, in colours that the style sheet gives them."""
