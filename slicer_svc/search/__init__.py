"""The search for models: specifications made, kept in memory, and compared with a task's."""
