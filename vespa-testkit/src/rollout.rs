//! From an activation to the package being in force in the container.

use crate::{
    content::{Content, Files},
    stop::Stop,
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// A package that was activated, or none: the application is gone.
#[derive(Debug)]
struct Job {
    generation: Option<u64>,
    files: Files,
    due: Instant,
    done: oneshot::Sender<()>,
}

/// What the container runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct InForce {
    pub(crate) generation: Option<u64>,
    /// Why it could not take the last package over.
    pub(crate) failure: Option<String>,
}

/// Brings packages into force one after the other, in the order of their activation.
#[derive(Debug)]
pub(crate) struct Rollout {
    delay: Duration,
    jobs: mpsc::UnboundedSender<Job>,
    state: Arc<Mutex<InForce>>,
}

impl Rollout {
    /// Begins; ends when told to stop.
    pub(crate) fn start(content: Arc<Content>, delay: Duration, mut stop: Stop) -> Self {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        let state: Arc<Mutex<InForce>> = Arc::default();
        let shown = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let job = tokio::select! {
                    () = stop.told() => return,
                    job = queue.recv() => job,
                };
                let Some(job) = job else { return };
                tokio::select! {
                    () = stop.told() => return,
                    () = tokio::time::sleep_until(job.due) => bring_into_force(&content, &shown, job).await,
                }
            }
        });
        Self { delay, jobs, state }
    }

    /// Queues a package; the receiver hears when it is in force, or when it can not be.
    pub(crate) fn queue(&self, generation: Option<u64>, files: Files) -> Activation {
        let (done, heard) = oneshot::channel();
        // Nobody takes jobs only when the server has stopped.
        let _ = self.jobs.send(Job { generation, files, due: Instant::now() + self.delay, done });
        Activation { heard, waits: self.delay.is_zero() }
    }

    pub(crate) fn in_force(&self) -> InForce {
        self.state.lock().clone()
    }
}

async fn bring_into_force(content: &Content, shown: &Mutex<InForce>, job: Job) {
    let outcome = content.activate(&job.files).await;
    {
        let mut state = shown.lock();
        match outcome {
            Ok(()) => *state = InForce { generation: job.generation, failure: None },
            Err(_) if job.generation.is_none() => *state = InForce::default(),
            Err(failure) => state.failure = Some(failure),
        }
    }
    // Whoever activated it may have gone away.
    let _ = job.done.send(());
}

/// A package on its way.
#[derive(Debug)]
pub(crate) struct Activation {
    heard: oneshot::Receiver<()>,
    waits: bool,
}

impl Activation {
    /// Returns when the package is in force, unless that is to take a while.
    pub(crate) async fn settle(self) {
        if self.waits {
            let _ = self.heard.await;
        }
    }

    /// Returns when the package is in force.
    pub(crate) async fn in_force(self) {
        let _ = self.heard.await;
    }
}
