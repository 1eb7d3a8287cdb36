//! The word to stop, for every task of a server.

use tokio::sync::watch;

/// Hears it.
#[derive(Debug, Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// The one who says it, and the first who hears it.
    pub(crate) fn channel() -> (watch::Sender<bool>, Self) {
        let (say, hear) = watch::channel(false);
        (say, Self(hear))
    }

    /// Returns when it was said, or when nobody is left who could.
    pub(crate) async fn told(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
