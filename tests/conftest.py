"""What all tests share: log lines go where they disturb no test that reads standard output."""

import sys

import structlog

# Background threads of one test may log while another one runs a command line in this process.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
