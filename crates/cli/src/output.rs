//! Files that commands write.

use std::path::Path;

use anyhow::Result;
use weights::Output;

use crate::interrupt;
use crate::outcome::Usage;
use crate::text::shown;

/// Begins to write a file, before the work that fills it. A file that is also an input is wrong usage, since writing it
/// would destroy the input.
pub(crate) fn create<'a>(path: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<Output> {
    if path == Path::new("-") {
        return Err(Usage(
            "- as an output: name /dev/stdout for standard output, or ./- for a file of that name".into(),
        )
        .into());
    }
    if let Some(input) = inputs.into_iter().find(|input| weights::is_same_file(path, input)) {
        let (path, input) = (shown(path), shown(input));
        let also = if path == input { String::new() } else { format!(" under the name {input}") };
        let message = format!("{path}: is read by this command{also}, and would be lost; name another file to write");
        return Err(Usage(message).into());
    }
    interrupt::clean_up_before();
    Ok(Output::create(path)?)
}
