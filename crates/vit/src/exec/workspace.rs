//! Scratch of one thread.

/// One thread's scratch, reused from step to step.
pub(crate) struct Workspace<'s> {
    /// A normed panel, or a panel of attention's output.
    pub narrow: &'s mut [f32],
    /// A panel of the MLP's hidden layer or of windows, or attention's scores.
    pub wide: &'s mut [f32],
}

impl<'s> Workspace<'s> {
    /// Divides a thread's scratch behind the first `narrow` values.
    pub(crate) fn new(scratch: &'s mut [f32], narrow: usize) -> Self {
        let (narrow, wide) = scratch.split_at_mut(narrow);
        Workspace { narrow, wide }
    }
}
