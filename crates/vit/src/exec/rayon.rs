//! The executor on a pool of threads of the crate `rayon`, whose types stay out of this crate's interface.

use core::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use super::executor::Executor;

/// Runs a model on a pool of rayon's threads: one of its own, or the one that the caller is in.
///
/// ```
/// # use vit::{Config, Level, Model, Rayon, RunOptions, TensorName, Tensors, VitConfig};
/// # struct Zeros(Vec<f32>);
/// # impl Tensors for Zeros {
/// #     type Error = core::convert::Infallible;
/// #     fn tensor(&mut self, _: TensorName, shape: &[usize]) -> Result<&[f32], Self::Error> {
/// #         self.0.resize(shape.iter().product(), 0.0);
/// #         Ok(&self.0)
/// #     }
/// # }
/// # let config = Config::new(VitConfig { image_size: 32, dim: 8, depth: 3, heads: 2, ..VitConfig::default() })?;
/// # let mut packed = vec![0.0; vit::packed_len(&config)];
/// # vit::pack(&config, &mut Zeros(Vec::new()), &mut packed)?;
/// # let (model, level) = (Model::new(&config, &packed)?, Level::detect());
/// # let (images, mut logits) = (vec![0.0; 4 * config.image_len()], vec![0.0; 4 * config.outputs()]);
/// let threads = Rayon::new(4)?;
/// let mut scratch = vec![0.0; model.scratch_len_on(level, &threads)];
/// model.run(RunOptions::new(level).executor(&threads), &images, &mut logits, &mut scratch)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rayon {
    /// None: the pool of the thread that calls.
    pool: Option<ThreadPool>,
    spin: Duration,
}

impl Rayon {
    /// How long a thread that finishes early spins, unless [`Rayon::spin`] says otherwise.
    ///
    /// A pass has dozens of joins with microseconds of difference between the threads, and a thread that went to sleep takes
    /// tens of them to wake up. Longer waits mean that somebody else has the other core, and it is better to let go of this
    /// one too.
    ///
    /// ```
    /// let threads = vit::Rayon::new(2)?.spin(vit::Rayon::SPIN / 10);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const SPIN: Duration = Duration::from_millis(1);

    /// A pool of so many new threads; 0 means one for each core.
    ///
    /// # Errors
    /// What the operating system says if it has no more threads.
    ///
    /// ```
    /// use vit::Executor;
    /// assert_eq!(vit::Rayon::new(3)?.threads(), 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(threads: usize) -> std::io::Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(std::io::Error::other)?;
        Ok(Rayon { pool: Some(pool), spin: Rayon::SPIN })
    }

    /// The pool that a run is called from: within the caller's `pool.install(...)` that pool, elsewhere rayon's global one.
    ///
    /// ```
    /// use vit::Executor;
    /// let mine = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    /// assert_eq!(mine.install(|| vit::Rayon::current().threads()), 2);
    /// # Ok::<(), rayon::ThreadPoolBuildError>(())
    /// ```
    pub fn current() -> Self {
        Rayon { pool: None, spin: Rayon::SPIN }
    }

    /// Sets how long a thread that finishes early spins instead of going to sleep. Zero, to never spin, is kind to other
    /// programs on the same cores and costs time at every join.
    ///
    /// ```
    /// use std::time::Duration;
    /// let threads = vit::Rayon::new(2)?.spin(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spin(self, spin: Duration) -> Self {
        Rayon { spin, ..self }
    }
}

impl Executor for Rayon {
    fn threads(&self) -> usize {
        self.pool.as_ref().map_or_else(rayon::current_num_threads, ThreadPool::current_num_threads)
    }

    fn join(&self, a: &mut (dyn FnMut() + Send), b: &mut (dyn FnMut() + Send)) {
        if self.spin.is_zero() {
            rayon::join(a, b);
            return;
        }
        let (begun, a_done, b_done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
        let thread = rayon::current_thread_index();
        rayon::join(
            || {
                a();
                a_done.store(true, Ordering::Release);
                // If no thread has begun with `b`, it is left to this one.
                if begun.load(Ordering::Acquire) {
                    wait(&b_done, self.spin);
                }
            },
            || {
                begun.store(true, Ordering::Release);
                b();
                b_done.store(true, Ordering::Release);
                // A thread that waits within `a` may have taken `b` itself.
                if rayon::current_thread_index() != thread {
                    wait(&a_done, self.spin);
                }
            },
        );
    }

    fn enter(&self, work: &mut (dyn FnMut() + Send)) {
        match &self.pool {
            Some(pool) => pool.install(work),
            // A scope runs on a thread of the current pool.
            None => rayon::scope(|_| work()),
        }
    }
}

/// Spins until `done`, or for so long.
fn wait(done: &AtomicBool, spin: Duration) {
    /// Even shares differ by less; after that the core is offered to others.
    const EAGER: Duration = Duration::from_micros(100);
    let start = Instant::now();
    while !done.load(Ordering::Acquire) {
        match start.elapsed() {
            waited if waited > spin => return,
            waited if waited > EAGER => std::thread::yield_now(),
            _ => (0..16).for_each(|_| core::hint::spin_loop()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::executor::{enter, join};
    use core::ops::Range;
    use core::sync::atomic::AtomicU64;

    fn add(executor: &Rayon, numbers: Range<u64>, sum: &AtomicU64) -> Result<(), crate::RunError> {
        if numbers.end - numbers.start == 1 {
            sum.fetch_add(numbers.start, Ordering::Relaxed);
            return Ok(());
        }
        let middle = numbers.start.midpoint(numbers.end);
        join(executor, || add(executor, numbers.start..middle, sum), || add(executor, middle..numbers.end, sum))
    }

    fn sum(executor: &Rayon) -> u64 {
        let sum = AtomicU64::new(0);
        enter(executor, || add(executor, 0..200, &sum)).unwrap();
        sum.into_inner()
    }

    /// Joins within joins, on fewer threads than they could use, in a pool of their own, the caller's and the global one.
    #[test]
    fn joins_nest_in_every_pool() {
        for spin in [Duration::ZERO, Duration::from_micros(50), Rayon::SPIN] {
            for threads in [1, 2, 3, 9] {
                let executor = Rayon::new(threads).unwrap().spin(spin);
                assert_eq!((executor.threads(), sum(&executor)), (threads, 19_900));
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let current = Rayon::current().spin(spin);
                assert_eq!(pool.install(|| (current.threads(), sum(&current))), (threads, 19_900));
            }
            assert_eq!(sum(&Rayon::current().spin(spin)), 19_900);
        }
    }
}
