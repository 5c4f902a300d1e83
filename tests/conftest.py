"""What all tests share: log lines go where they disturb no test that reads standard output."""

import structlog

# Background threads of one test may log while another one runs a command line in this process.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.stdlib.render_to_log_kwargs],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)
