"""Deployments: what is desired, who serves it, and how a switch goes."""
