//! Files that commands write.

use std::path::Path;

use anyhow::Result;
use weights::Output;

use crate::interrupt;
use crate::outcome::Usage;
use crate::text::shown;

/// Prepares to write a file, before the work is done that it is for. One that is among the inputs is wrong usage:
/// writing it would destroy what it is made from.
pub(crate) fn create<'a>(path: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<Output> {
    if let Some(input) = inputs.into_iter().find(|input| weights::is_same_file(path, input)) {
        let (path, input) = (shown(path), shown(input));
        let also = if path == input { String::new() } else { format!(" under the name {input}") };
        let message = format!("{path}: is read by this command{also}, and would be lost; name another file to write");
        return Err(Usage(message).into());
    }
    interrupt::clean_up_before();
    Ok(Output::create(path)?)
}
