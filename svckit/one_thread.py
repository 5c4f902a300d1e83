"""Imported before numpy by a server that computes: each of its products takes one thread.

Between threads of its own, which wait for each other by turning in circles, OpenBLAS divides even
products that take microseconds. Beside the calls of a server, and other processes of the machine,
that makes them ten times as slow. What takes long is for workers, which are told their own number.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"
