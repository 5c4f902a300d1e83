"""Are the services at hand: while slicing, after a restart, and while packs are switched?"""
