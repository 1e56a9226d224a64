//! The shell around the engine: command line, start-up, event loop, files, logging.
