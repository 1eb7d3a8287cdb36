//! The processor cores that searches share.
//!
//! Each search has the core of its own thread. Where cores are free it gets more, up to a limit; where as many searches run as
//! there are cores, each has one, so that one large search never takes a core from another tenant's small one.

use cogniverse_sdk::Result;
use parking_lot::Mutex;
use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The time that a search works alone: waking another core takes a part of it.
const ALONE: Duration = Duration::from_micros(150);

/// The cores of the machine, and how many of them work. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Cores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    total: usize,
    /// The largest number of cores of one search.
    limit: usize,
    working: AtomicUsize,
    /// The threads of all cores but one, made when they are first needed; `None` where the system makes none.
    threads: OnceLock<Option<ThreadPool>>,
}

impl Cores {
    pub(crate) fn new(total: usize, limit: usize) -> Self {
        let (total, working) = (total.max(1), AtomicUsize::new(0));
        Self { inner: Arc::new(Inner { total, limit: limit.clamp(1, total), working, threads: OnceLock::new() }) }
    }

    /// Counts the calling thread's core as working until the result is dropped.
    pub(crate) fn enter(&self) -> OwnCore {
        self.inner.working.fetch_add(1, Ordering::AcqRel);
        OwnCore { inner: Arc::clone(&self.inner) }
    }
}

impl Inner {
    /// Takes a free core.
    fn take(&self) -> bool {
        let taken = self
            .working
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |working| (working < self.total).then_some(working + 1));
        taken.is_ok()
    }

    fn threads(&self) -> Option<&ThreadPool> {
        let make = || {
            let threads = ThreadPoolBuilder::new().num_threads(self.total.saturating_sub(1).max(1));
            let threads = threads.thread_name(|number| format!("cogniverse-search-{number}")).build();
            threads.inspect_err(|e| tracing::warn!("each search keeps to one core, as no thread can be made: {e}")).ok()
        };
        self.threads.get_or_init(make).as_ref()
    }
}

/// The core of a search's own thread, and its way to others.
#[derive(Debug)]
pub(crate) struct OwnCore {
    inner: Arc<Inner>,
}

impl Drop for OwnCore {
    fn drop(&mut self) {
        self.inner.working.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A core that was taken.
struct Taken<'c>(&'c Inner);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::AcqRel);
    }
}

impl OwnCore {
    /// Calls `each` for the numbers below `count`, on this core and on those that are or become free, and returns what each
    /// core made of its part. A number is given to one core alone; the lower ones are begun first. Blocking.
    ///
    /// # Errors
    /// The first error; what was not begun by then is left.
    pub(crate) fn share<W: Send>(
        &self,
        count: usize,
        make: impl Fn() -> W + Sync,
        each: impl Fn(&mut W, usize) -> Result<()> + Sync,
    ) -> Result<Vec<W>> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (error, done) = (Mutex::new(None), Mutex::new(Vec::new()));
        // Whether a number was left.
        let step = |worker: &mut W| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || failed.load(Ordering::Relaxed) {
                return false;
            }
            if let Err(e) = each(worker, number) {
                failed.store(true, Ordering::Relaxed);
                error.lock().get_or_insert(e);
            }
            true
        };
        let mut own = make();
        let (begun, mut left) = (Instant::now(), true);
        while left && (self.inner.limit == 1 || begun.elapsed() < ALONE) {
            left = step(&mut own);
        }
        let threads = (left && next.load(Ordering::Relaxed) < count).then(|| self.inner.threads()).flatten();
        match threads {
            None => while step(&mut own) {},
            Some(threads) => threads.in_place_scope(|scope| {
                let mut helpers = 1;
                loop {
                    // A core that becomes free while a long search works is asked for as well.
                    if helpers < self.inner.limit && next.load(Ordering::Relaxed) + 1 < count && self.inner.take() {
                        helpers += 1;
                        let taken = Taken(&self.inner);
                        let (make, step, done) = (&make, &step, &done);
                        scope.spawn(move |_| {
                            let _taken = taken;
                            let mut worker = make();
                            while step(&mut worker) {}
                            done.lock().push(worker);
                        });
                    }
                    if !step(&mut own) {
                        break;
                    }
                }
            }),
        }
        if let Some(error) = error.into_inner() {
            return Err(error);
        }
        let mut workers = done.into_inner();
        workers.push(own);
        Ok(workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cogniverse_sdk::Error;
    use std::sync::Barrier;

    fn numbers(core: &OwnCore, count: usize, pause: Duration) -> (usize, Vec<usize>) {
        let parts = core.share(count, Vec::new, |part, number| {
            std::thread::sleep(pause);
            part.push(number);
            Ok(())
        });
        let parts = parts.unwrap();
        let mut all = parts.concat();
        all.sort_unstable();
        (parts.len(), all)
    }

    #[test]
    fn each_number_is_given_once_to_no_more_cores_than_are_free() {
        let cores = Cores::new(3, 3);
        let core = cores.enter();
        for count in [0, 1, 2, 50] {
            let (workers, all) = numbers(&core, count, Duration::from_millis(1));
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert!(workers <= 3 && (count < 50 || workers == 3), "{workers} for {count}");
        }
        assert_eq!(numbers(&core, 50, Duration::ZERO).0, 1, "little work stays on its core");
        // No core is free, and none is taken beyond those that there are.
        let others = [cores.enter(), cores.enter()];
        assert_eq!(numbers(&core, 20, Duration::from_millis(1)).0, 1, "the others work");
        drop(others);
        assert_eq!(cores.inner.working.load(Ordering::SeqCst), 1, "every core that was taken is free again");
        let one = Cores::new(3, 1);
        assert_eq!(numbers(&one.enter(), 20, Duration::from_millis(1)).0, 1, "one core a search");
    }

    #[test]
    fn a_core_that_becomes_free_is_used() {
        let cores = Cores::new(2, 2);
        let (core, other) = (cores.enter(), Mutex::new(Some(cores.enter())));
        let both = Barrier::new(2);
        let parts = core.share(
            40,
            || 0,
            |part, number| {
                if number == 10 {
                    drop(other.lock().take());
                }
                // Two that wait for each other: nothing ends before a second core works.
                if number == 11 || number == 12 {
                    both.wait();
                }
                std::thread::sleep(Duration::from_micros(200));
                *part += 1;
                Ok(())
            },
        );
        let parts = parts.unwrap();
        assert_eq!((parts.len(), parts.iter().sum::<usize>()), (2, 40));
    }

    #[test]
    fn an_error_ends_all() {
        let cores = Cores::new(2, 2);
        let tried = AtomicUsize::new(0);
        let error = cores.enter().share(
            10_000,
            || (),
            |(), number| {
                tried.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(50));
                if number == 20 { Err(Error::invalid("the twentieth")) } else { Ok(()) }
            },
        );
        assert!(error.unwrap_err().to_string().contains("the twentieth"));
        assert!(tried.load(Ordering::SeqCst) < 1_000);
        assert_eq!(cores.inner.working.load(Ordering::SeqCst), 0);
    }
}
