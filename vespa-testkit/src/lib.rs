//! A server with Vespa's wire, for tests.
