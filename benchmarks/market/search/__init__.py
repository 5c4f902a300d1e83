"""The search experiment: which model of a market does a user's task best?"""
