"""Deep model reassembly: a new network of other networks' blocks, within a budget.

After Yang et al., "Deep Model Reassembly" (NeurIPS 2022): networks are cut into blocks, alike
blocks form sets, an integer program takes one of each, and stitches join them.
"""
