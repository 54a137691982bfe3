//! Ending by Ctrl-C or a signal without leaving unfinished files behind.
//!
//! Only file systems without unnamed files need this (see [`weights::remove_unfinished`]).

/// From now on, unfinished files are removed before a signal ends the program.
#[cfg(unix)]
pub(crate) fn clean_up_before() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    // Where no handler can be set, a signal ends the program as ever.
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            weights::remove_unfinished();
            // The shell that started this program sees that a signal ended it.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
}

#[cfg(not(unix))]
pub(crate) fn clean_up_before() {}
