//! Who carries out the parts of a forward pass that may run at the same time.

use super::error::RunError;

/// Threads, or cores, that a forward pass may use. Implement it to run on threads of your own; the feature `parallel` has
/// [`Rayon`](crate::Rayon).
///
/// ```
/// use vit::Executor;
///
/// /// A new thread for every part: the least code, but a small model is done before a thread has started.
/// struct NewThreads(usize);
///
/// impl Executor for NewThreads {
///     fn threads(&self) -> usize {
///         self.0
///     }
///     fn join(&self, a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
///         std::thread::scope(|scope| {
///             scope.spawn(b);
///             a();
///         });
///     }
/// }
/// ```
pub trait Executor: Sync {
    /// How many threads work is divided among. It must not change while a model runs.
    fn threads(&self) -> usize;

    /// Calls both functions, each once, at the same time where possible; returns when both have returned.
    ///
    /// Either may call `join` again: work is divided in two until there is a part for each thread.
    fn join(&self, a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send));

    /// Calls a function, once, that will call `join` many times. A pool may do so on one of its threads, where `join` is
    /// cheap.
    fn enter(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }
}

/// The calling thread alone.
pub(crate) struct ThisThread;

impl Executor for ThisThread {
    fn threads(&self) -> usize {
        1
    }

    fn join(&self, a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
        a();
        b();
    }
}

/// Work that is done once, and its result.
struct Part<F> {
    work: Option<F>,
    result: Result<(), RunError>,
}

impl<F: FnOnce() -> Result<(), RunError>> Part<F> {
    fn new(work: F) -> Self {
        Part { work: Some(work), result: Err(RunError::Executor) }
    }

    fn run(&mut self) {
        if let Some(work) = self.work.take() {
            self.result = work();
        }
    }
}

/// Does both parts of some work, on two threads where the executor has them.
pub(crate) fn join(
    executor: &dyn Executor,
    a: impl FnOnce() -> Result<(), RunError> + Send,
    b: impl FnOnce() -> Result<(), RunError> + Send,
) -> Result<(), RunError> {
    let (mut a, mut b) = (Part::new(a), Part::new(b));
    executor.join(&mut || a.run(), &mut || b.run());
    a.result.and(b.result)
}

/// Does some work on a thread from which the executor's joins are cheap.
pub(crate) fn enter(
    executor: &dyn Executor,
    work: impl FnOnce() -> Result<(), RunError> + Send,
) -> Result<(), RunError> {
    let mut work = Part::new(work);
    executor.enter(&mut || work.run());
    work.result
}
