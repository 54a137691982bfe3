//! Target `safetensors`: any bytes as a checkpoint or a packed file in memory, through everything that the program does with a file.

use safetensors::SafeTensors;
use weights::{Loader, TensorFile};

use crate::model::{check_message, check_model, check_packed};

/// Parses, describes, validates, packs and runs; holds what is accepted against the public reader of the format.
pub fn run(data: &[u8]) {
    match TensorFile::from_bytes(data) {
        Ok(file) => agree_with_peer(&file, data),
        Err(error) => check_message(&error),
    }
    for arch in [None, Some("shuffle_deit_tiny")] {
        match arch.map_or_else(Loader::new, |arch| Loader::new().arch(arch)).from_bytes(data) {
            Ok(loaded) if is_packed(data) => check_packed(&loaded, data.len()),
            Ok(loaded) => check_model(&loaded, data.len()),
            Err(error) => check_message(&error),
        }
    }
}

fn is_packed(data: &[u8]) -> bool {
    TensorFile::from_bytes(data).is_ok_and(|file| file.metadata("packed").is_some())
}

/// What this reader accepts is valid to the crate `safetensors`, which sees the same tensors in it.
fn agree_with_peer(file: &TensorFile, data: &[u8]) {
    let peer = SafeTensors::deserialize(data).expect("a file that the public reader refuses was accepted");
    assert_eq!(file.tensors().len(), peer.len());
    for info in file.tensors() {
        let tensor = peer.tensor(&info.name).expect("a tensor that the public reader does not see");
        assert_eq!((tensor.dtype(), tensor.shape()), (info.dtype, &info.shape[..]));
        match file.tensor(&info.name) {
            Ok(values) => assert_eq!(values.len(), info.len()),
            Err(error) => check_message(&error),
        }
    }
}
