"""The Helm chart in tests: rendering it, and what is wrong with what it renders."""
