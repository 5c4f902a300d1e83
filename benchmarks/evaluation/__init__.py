"""How honest a pack's evaluation is: three ways to judge, against the true error."""
