"""Long-running operations as rows of SQL: submitted, claimed by lease, watched, resumed."""
