"""Specifications: what a model or a task says of its samples, and the search among them.

The way through: `making.make` on the machine that has the samples, `codec.to_bytes`, and
`index.Index` where the models are. numpy and scipy alone, so that a server and the command line can
use it: the domain knows no service, no graph and no torch.
"""
