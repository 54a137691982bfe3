//! Whether the CPU has a feature.

/// Whether the CPU has a feature: found at run time with `std`; without, whether the build requires it.
macro_rules! x86_feature {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        let present = std::arch::is_x86_feature_detected!($feature);
        #[cfg(not(feature = "std"))]
        let present = cfg!(target_feature = $feature);
        present
    }};
}
pub(super) use x86_feature;
