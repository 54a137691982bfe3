//! Instruction-set levels: which exist here, by name and by value.

use core::fmt;
use core::str::FromStr;

use crate::Error;
use crate::panel::PanelLayout;
use crate::simd::{Kernel, Simd, portable::Portable};
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};

/// An instruction set that this CPU has, chosen by value and passed to every kernel.
///
/// A `Level` cannot be made for instructions that the CPU lacks, so kernels need no check of their own.
///
/// ```
/// use kernels::Level;
/// let best = Level::detect();
/// assert!(Level::available().any(|level| level == best));
/// assert_eq!("portable".parse(), Ok(Level::PORTABLE));
/// assert!("mmx".parse::<Level>().unwrap_err().to_string().contains("available here"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Level(Token);

/// The proof that a level carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

/// The value of a [`Simd`] constant or function at a level known only at run time.
macro_rules! with_token {
    ($level:expr, $s:ident => $body:expr) => {
        match $level.0 {
            Token::Portable($s) => $body,
            #[cfg(target_arch = "x86_64")]
            Token::Avx2($s) => $body,
            #[cfg(target_arch = "x86_64")]
            Token::Avx512($s) => $body,
        }
    };
}

impl Level {
    /// The level that every CPU has. Its multiply-adds round twice; all other levels fuse them and agree bit for bit.
    pub const PORTABLE: Level = Level(Token::Portable(Portable));

    /// The fastest level of this CPU.
    ///
    /// Without the feature `std` nothing can be detected, and the answer is what the build requires
    /// (`-C target-feature`).
    pub fn detect() -> Level {
        Level::available().last().unwrap_or(Level::PORTABLE)
    }

    /// The levels of this CPU, slowest first.
    pub fn available() -> impl Iterator<Item = Level> {
        let portable = Some(Level::PORTABLE);
        #[cfg(target_arch = "x86_64")]
        let levels = [
            portable,
            Avx2::detect().map(|token| Level(Token::Avx2(token))),
            Avx512::detect().map(|token| Level(Token::Avx512(token))),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let levels = [portable];
        levels.into_iter().flatten()
    }

    /// The name that [`Level::from_str`] reads.
    pub fn name(self) -> &'static str {
        match self.0 {
            Token::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(_) => "avx512",
        }
    }

    /// f32 in a vector.
    pub fn lanes(self) -> usize {
        fn lanes<S: Simd>(_: S) -> usize {
            S::LANES
        }
        with_token!(self, s => lanes(s))
    }

    /// How this level wants `columns` columns cut into panels.
    pub fn panels(self, columns: usize) -> PanelLayout {
        fn layout<S: Simd>(_: S, columns: usize) -> PanelLayout {
            PanelLayout::new(columns, S::LANES, S::PANEL_VECTORS)
        }
        with_token!(self, s => layout(s, columns))
    }

    /// As [`Level::panels`], but each panel being `width` columns: a thread's share of the tokens, or those of a few attention
    /// windows.
    ///
    /// # Panics
    /// If `width` is zero.
    pub fn panels_of_width(self, columns: usize, width: usize) -> PanelLayout {
        PanelLayout::of_width(columns, self.lanes(), width)
    }

    /// Runs `kernel` compiled for this level.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        with_token!(self, s => s.vectorize(kernel))
    }
}

impl Default for Level {
    fn default() -> Self {
        Level::detect()
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Level::available().find(|level| level.name() == name).ok_or(Error::UnavailableLevel)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Level({})", self.name())
    }
}

/// The names of the levels that exist here, for messages.
pub(crate) struct AvailableLevels;

impl fmt::Display for AvailableLevels {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, level) in Level::available().enumerate() {
            write!(f, "{}{level}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
