//! The header of a packed file and its description, read where they are: without a heap.

use core::str::Chars;

use vit::{Family, Stages, SwinConfig, VitConfig};

use super::checksum::Checksum;
use super::entries::{CHECKSUM, PACKED};
use super::json::{Json, Text};
use crate::keys::{self, Value};

/// Bytes in front of the header: its length.
const PREFIX: usize = 8;

/// The description's text, as the header has it.
pub(super) type Description<'a> = Text<Chars<'a>>;

/// What the header says, and the values' bytes.
pub(super) struct Header<'a> {
    pub description: Description<'a>,
    pub checksum: Checksum,
    pub version: u32,
    pub values: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads it; none if it is not that of a packed file whose values are all there.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (prefix, rest) = bytes.split_first_chunk::<PREFIX>()?;
        let (text, values) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*prefix)).ok()?)?;
        let (mut description, mut checksum, mut version, mut declared) = (None, None, None, None);
        let mut json = Json::new(core::str::from_utf8(text).ok()?.chars());
        json.entries(&mut |key, json| match () {
            () if key.is("__metadata__") => json.entries(&mut |key, json| {
                let value = json.string()?;
                match () {
                    () if key.is("config") => description = Some(value),
                    () if key.is(CHECKSUM) => checksum = Some(short(value, Checksum::parse)?),
                    () if key.is(PACKED) => version = Some(short(value, |text| text.parse().ok())?),
                    () => {}
                }
                Some(())
            }),
            () if key.is(PACKED) => {
                declared = Some(declared_bytes(json)?);
                Some(())
            }
            // Another tensor.
            () => None,
        })?;
        if !json.is_at_end() || declared? != values.len() {
            return None;
        }
        Some(Header { description: description?, checksum: checksum?, version: version?, values })
    }
}

/// How many bytes the one tensor has, which is F32 and begins behind the header.
fn declared_bytes(json: &mut Json<Chars>) -> Option<usize> {
    let (mut is_f32, mut len, mut end) = (false, None, None);
    json.entries(&mut |key, json| match () {
        () if key.is("dtype") => json.string().map(|dtype| is_f32 = dtype.is("F32")),
        () if key.is("shape") => {
            json.items(&mut |json| if len.is_none() { json.number::<usize>().map(|n| len = Some(n)) } else { None })
        }
        () if key.is("data_offsets") => {
            let mut begins = false;
            json.items(&mut |json| match (begins, json.number::<usize>()?) {
                (false, 0) => {
                    begins = true;
                    Some(())
                }
                (true, last) if end.is_none() => {
                    end = Some(last);
                    Some(())
                }
                _ => None,
            })
        }
        () => None,
    })?;
    let bytes = len?.checked_mul(size_of::<f32>())?;
    (is_f32 && end? == bytes).then_some(bytes)
}

/// What is read from a text that must be short.
fn short<T>(text: impl Iterator<Item = char>, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let mut buffer = [0; 32];
    let mut len = 0;
    for character in text {
        len += character.encode_utf8(buffer.get_mut(len..len + character.len_utf8())?).len();
    }
    read(core::str::from_utf8(&buffer[..len]).ok()?)
}

/// The configuration that the description says, not yet checked.
pub(super) fn configuration(description: &Description) -> Option<Family> {
    let mut is_swin = None;
    Json::new(description.clone()).entries(&mut |key, json| {
        if !key.is("arch") {
            return json.skip();
        }
        let arch = json.string()?;
        is_swin = Some(arch.is("swin")).filter(|swin| *swin || arch.is("vit"));
        Some(())
    })?;
    let json = Json::new(description.clone());
    if is_swin? {
        let mut config = SwinConfig::default();
        set_keys(json, &mut |value| keys::set_swin(&mut config, value))?;
        Some(config.into())
    } else {
        let mut config = VitConfig::default();
        set_keys(json, &mut |value| keys::set_plain(&mut config, value))?;
        Some(config.into())
    }
}

/// Sets every key that `set` knows.
fn set_keys<'a>(
    mut json: Json<Description<'a>>,
    set: &mut dyn FnMut(&mut InPlace<Description<'a>>) -> bool,
) -> Option<()> {
    json.entries(&mut |key, json| {
        let mut buffer = [0; 32];
        let mut value = InPlace { key: fitting(key, &mut buffer), json: json.clone(), is_right: true };
        set(&mut value);
        value.is_right.then_some(())?;
        json.skip()
    })?;
    json.is_at_end().then_some(())
}

/// The text, if it fits into the buffer; no key is longer.
fn fitting(text: impl Iterator<Item = char>, buffer: &mut [u8]) -> &str {
    let mut len = 0;
    for character in text {
        match buffer.get_mut(len..len + character.len_utf8()) {
            Some(place) => len += character.encode_utf8(place).len(),
            None => return "",
        }
    }
    core::str::from_utf8(&buffer[..len]).unwrap_or("")
}

/// A key and the text before its value.
struct InPlace<'k, C> {
    key: &'k str,
    json: Json<C>,
    is_right: bool,
}

impl<C: Iterator<Item = char> + Clone> InPlace<'_, C> {
    fn check<T>(&mut self, value: Option<T>) -> Option<T> {
        self.is_right &= value.is_some();
        value
    }
}

impl<C: Iterator<Item = char> + Clone> Value for InPlace<'_, C> {
    fn key(&self) -> &str {
        self.key
    }

    fn size(&mut self, max: usize) -> Option<usize> {
        let size = self.json.number().filter(|size| (1..=max).contains(size));
        self.check(size)
    }

    fn count(&mut self, max: usize) -> Option<usize> {
        let count = self.json.number().filter(|count| *count <= max);
        self.check(count)
    }

    fn stages(&mut self, max: usize) -> Option<Stages> {
        let (mut list, mut len) = ([0; vit::MAX_STAGES], 0);
        let read = self.json.items(&mut |json| {
            let number = json.number().filter(|number| (1..=max).contains(number))?;
            *list.get_mut(len)? = number;
            len += 1;
            Some(())
        });
        self.check(read.and_then(|()| Stages::new(&list[..len])))
    }

    fn stages_or_one(&mut self, max: usize) -> Option<Stages> {
        if self.json.peek() == Some('[') { self.stages(max) } else { self.size(max).map(Stages::single) }
    }

    fn positive(&mut self) -> Option<f64> {
        let number = self.json.number().filter(|number: &f64| number.is_finite() && *number > 0.0);
        self.check(number)
    }

    fn switch(&mut self) -> Option<bool> {
        let on = self.json.clone().word("true").is_some();
        let off = self.json.word("false").is_some();
        self.check((on || off).then_some(on))
    }

    fn word<T: Copy, const N: usize>(&mut self, words: [(&str, T); N]) -> Option<T> {
        let word = self.json.string();
        let meaning = word.and_then(|word| words.into_iter().find(|(known, _)| word.is(known)));
        self.check(meaning.map(|(_, meaning)| meaning))
    }
}
