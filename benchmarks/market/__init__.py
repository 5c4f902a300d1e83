"""The market: what finds a model for a task, and what is made of the models found."""
