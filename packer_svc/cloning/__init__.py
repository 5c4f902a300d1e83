"""Partial network cloning: classes of one model put into another one, both as they are."""
