"""What every call passes through, outermost first: log, metrics, errors, stopping, deadline, rules.

One interceptor a file; `svckit.interceptors.call` knows the four shapes of a gRPC method, so that
an interceptor is one context manager around a call.
"""
