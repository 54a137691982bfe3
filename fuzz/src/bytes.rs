//! Target `safetensors`: any bytes as a checkpoint or a packed file in memory, through everything that the program does with a file.

use safetensors::SafeTensors;
use weights::{LoadedModel, Loader, PackedError, PackedFile, TensorFile};

use crate::model::{check_message, check_model, check_packed};

/// Parses, describes, validates, packs and runs; holds what is accepted against the public reader of the format.
pub fn run(data: &[u8]) {
    match TensorFile::from_bytes(data) {
        Ok(file) => agree_with_peer(&file, data),
        Err(error) => check_message(&error),
    }
    let _ = PackedFile::new(data);
    for arch in [None, Some("shuffle_deit_tiny")] {
        match arch.map_or_else(Loader::new, |arch| Loader::new().arch(arch)).from_bytes(data) {
            Ok(loaded) if is_packed(data) => {
                check_packed(&loaded, data.len());
                agree_with_borrowed(&loaded, data);
            }
            Ok(loaded) => check_model(&loaded, data.len()),
            Err(error) => check_message(&error),
        }
    }
}

/// What loads is lent too, without the standard library, unless a number of its header is longer than anyone writes one.
fn agree_with_borrowed(loaded: &LoadedModel, data: &[u8]) {
    let mut buffer = vec![0; data.len() + 64];
    let start = 64 - buffer.as_ptr().addr() % 64;
    buffer[start..][..data.len()].copy_from_slice(data);
    let lent = match PackedFile::new(&buffer[start..][..data.len()]) {
        Err(PackedError::Malformed { .. }) => return,
        lent => lent.expect("what loads is lent"),
    };
    assert_eq!(lent.config(), loaded.model().config());
    assert_eq!(lent.verify().is_ok(), loaded.verify().is_ok());
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
