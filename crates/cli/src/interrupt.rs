//! Ending by Ctrl-C or another signal without leaving unfinished files behind.
//!
//! Only file systems without unnamed files need this (see [`weights::remove_unfinished`]).

/// From now on, unfinished files are removed before a signal ends the program.
#[cfg(unix)]
pub(crate) fn clean_up_before() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    let ignored = ignored();
    let ending = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Where no handler can be set, a signal ends the program as ever.
    let Ok(mut signals) = Signals::new(ending) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            weights::remove_unfinished();
            // The shell that started this program sees that a signal ended it.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    });
}

/// The signals that whoever started this program wants it to ignore, signal n as bit n - 1: `nohup` does so with SIGHUP,
/// and shells do with SIGINT for what runs in the background. A handler would end that. Where the system does not say
/// it, SIGHUP counts as ignored, because unfinished files do less harm than an end of a program that shall go on.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let hangup = 1 << (signal_hook::consts::SIGHUP - 1);
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(hangup)
}

#[cfg(not(unix))]
pub(crate) fn clean_up_before() {}
