//! Flags that several commands share; a command's own flags stand beside what it does.

mod compute;
mod model;
pub(crate) mod values;

pub(crate) use compute::{ComputeArgs, LevelArgs, OutputArgs};
pub(crate) use model::{OptionalModelArgs, SettingArgs, SubjectArgs};
