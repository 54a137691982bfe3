//! Instruction-set levels: which exist here, by name and by value.

use core::fmt;
use core::str::FromStr;

use super::portable::Portable;
use super::simd::{Kernel, Simd};
#[cfg(target_arch = "x86_64")]
use super::x86::{avx2::Avx2, avx512::Avx512};
use crate::error::{Error, ShortText};

/// Declares the levels, slowest first: a line is all that a level needs beside a file that implements [`Simd`] for its token.
macro_rules! levels {
    ($($(#[$cfg:meta])? $token:ident,)*) => {
        /// The proof that a level carries.
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Token {
            $($(#[$cfg])? $token($token),)*
        }

        impl Token {
            /// The levels that this CPU has.
            fn detect() -> impl Iterator<Item = Token> {
                [$($(#[$cfg])? $token::detect().map(Token::$token),)*].into_iter().flatten()
            }

            fn constants(self) -> Constants {
                match self {
                    $($(#[$cfg])? Token::$token(_) => Constants::of::<$token>(),)*
                }
            }

            fn run<K: Kernel>(self, kernel: K) -> K::Output {
                match self {
                    $($(#[$cfg])? Token::$token(s) => s.vectorize(kernel),)*
                }
            }
        }
    };
}

levels! {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// What is known of a level without running anything on it.
struct Constants {
    name: &'static str,
    lanes: usize,
    panel_vectors: usize,
}

impl Constants {
    fn of<S: Simd>() -> Self {
        Constants { name: S::NAME, lanes: S::LANES, panel_vectors: S::PANEL_VECTORS }
    }
}

/// An instruction set that this CPU has, chosen by value and passed to every kernel.
///
/// A `Level` cannot be made for instructions that the CPU lacks, so kernels need no check of their own.
///
/// ```
/// use kernels::Level;
/// let best = Level::detect();
/// assert!(Level::available().any(|level| level == best));
/// assert_eq!("portable".parse(), Ok(Level::PORTABLE));
/// let error = "mmx".parse::<Level>().unwrap_err().to_string();
/// assert!(error.starts_with("no instruction-set level \"mmx\" here; available here: portable"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Level(Token);

impl Level {
    /// The level that every CPU has. Its multiply-adds round twice; all other levels fuse them and agree bit for bit.
    ///
    /// ```
    /// use kernels::Level;
    /// assert!(Level::available().any(|level| level == Level::PORTABLE));
    /// ```
    pub const PORTABLE: Level = Level(Token::Portable(Portable));

    /// The fastest level of this CPU.
    ///
    /// Without the feature `std` nothing can be detected, and the answer is what the build requires
    /// (`-C target-feature`).
    ///
    /// ```
    /// assert!(kernels::Level::detect().lanes() >= kernels::Level::PORTABLE.lanes());
    /// ```
    pub fn detect() -> Level {
        Level::available().last().unwrap_or(Level::PORTABLE)
    }

    /// The levels of this CPU, slowest first.
    ///
    /// ```
    /// let first = kernels::Level::available().next();
    /// assert_eq!(first, Some(kernels::Level::PORTABLE));
    /// ```
    pub fn available() -> impl Iterator<Item = Level> {
        Token::detect().map(Level)
    }

    /// The name that [`Level::from_str`] reads.
    ///
    /// ```
    /// assert_eq!(kernels::Level::PORTABLE.name(), "portable");
    /// ```
    pub fn name(self) -> &'static str {
        self.0.constants().name
    }

    /// f32 in a vector.
    ///
    /// ```
    /// assert_eq!(kernels::Level::PORTABLE.lanes(), 4);
    /// ```
    pub fn lanes(self) -> usize {
        self.0.constants().lanes
    }

    /// Vectors across a token panel.
    pub(crate) fn panel_vectors(self) -> usize {
        self.0.constants().panel_vectors
    }

    /// Runs `kernel` compiled for this level.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        self.0.run(kernel)
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
        Level::available()
            .find(|level| level.name() == name)
            .ok_or_else(|| Error::UnavailableLevel { name: ShortText::new(name), available: ShortText::new(Names) })
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
struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, level) in Level::available().enumerate() {
            write!(f, "{}{level}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
