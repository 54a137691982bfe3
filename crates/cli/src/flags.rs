//! Flags that several commands share; a command's own flags stand beside what it does.

mod compute;
mod model;
mod preparation;
pub(crate) mod values;

pub(crate) use compute::{ComputeArgs, LevelArgs, OutputArgs};
pub(crate) use model::{LoadingArgs, SettingArgs, SubjectArgs};
pub(crate) use preparation::PreparationArgs;
