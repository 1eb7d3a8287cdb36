//! Options of a server.

use std::time::Duration;

/// How long a session that nobody activates is kept: what Vespa's config server does.
const SESSION_LIFETIME: Duration = Duration::from_secs(3600);

/// Options of [`TestServer::start_with`](crate::TestServer::start_with).
#[derive(Debug, Clone)]
pub struct TestServerOptions {
    pub(crate) port: u16,
    pub(crate) config_port: u16,
    pub(crate) first_generation: u64,
    pub(crate) convergence_delay: Duration,
    pub(crate) session_lifetime: Duration,
}

impl Default for TestServerOptions {
    fn default() -> Self {
        Self {
            port: 0,
            config_port: 0,
            first_generation: 1,
            convergence_delay: Duration::ZERO,
            session_lifetime: SESSION_LIFETIME,
        }
    }
}

impl TestServerOptions {
    /// The container's port on 127.0.0.1: documents and searches. Default: 0, any free one.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The config server's port on 127.0.0.1. Default: 0, any free one.
    #[must_use]
    pub fn with_config_port(mut self, port: u16) -> Self {
        self.config_port = port;
        self
    }

    /// The number of the first session, and so of the first generation. Default: 1; 0 counts as 1.
    #[must_use]
    pub fn with_first_generation(mut self, generation: u64) -> Self {
        self.first_generation = generation.max(1);
        self
    }

    /// The time after an activation until the container takes the new package over. Until then convergence says so, and
    /// documents of a new type are refused. Default: none; an activation is answered once the package is in force.
    #[must_use]
    pub fn with_convergence_delay(mut self, delay: Duration) -> Self {
        self.convergence_delay = delay;
        self
    }

    /// The time for which a session that is not active is kept. Default: 3600 s.
    #[must_use]
    pub fn with_session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_lifetime = lifetime;
        self
    }
}
