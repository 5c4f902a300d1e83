"""Rules by which units pass through nodes; a row of the operator table names one of them."""
