//! The checksums of whole files. Parquet's own cover the contents of pages: headers of pages, indexes and
//! the footer have none, and a changed bound in them leaves rows out.
//!
//! Files written here have `KEY` among the pairs of their footers. Its value is sixteen hexadecimal digits:
//! the CRC-32 of the whole file without the first eight of them, and that of all behind its pages without any.

use std::io::{Read, Seek, SeekFrom};

use crc32fast::Hasher;
use datafusion::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use object_store::path::Path;

use crate::caught::caught;
use crate::error::{LakeError, Result};
use crate::files::FileStore;

/// Names the checksums in a footer.
pub const KEY: &str = "frazil.crc32";
/// What a footer says of the program that wrote it where there are checksums: without them such a file is
/// damaged.
pub const CREATED_BY: &str = concat!("frazil ", env!("CARGO_PKG_VERSION"), " with checksums");
/// The end of that text, whatever the version.
const CREATED_BY_MARK: &[u8] = b" with checksums";
/// The value until the file is whole.
pub const BLANK: &str = "0000000000000000";
const DIGITS: usize = BLANK.len();
/// Those of the whole file's checksum.
const WHOLE_DIGITS: usize = DIGITS / 2;
/// A text and its length in Thrift's compact protocol, as follow the key.
const VALUE: [u8; 2] = [0x18, DIGITS as u8];
/// The footer's length, and the letters at a file's end.
const END_BYTES: u64 = 8;
const READ_BYTES: u64 = 8 << 20;

/// The checksums a file should have.
#[derive(Debug, Clone, Copy)]
struct Seal {
    /// Where the digits lie.
    at: u64,
    /// None where they are no digits.
    sums: Option<u64>,
}

/// The place of the digits in a footer.
fn place(footer: &[u8]) -> Option<usize> {
    let mark = [KEY.as_bytes(), &VALUE].concat();
    let found = footer.windows(mark.len()).rposition(|window| window == mark)?;
    Some(found + mark.len()).filter(|at| at + DIGITS <= footer.len())
}

/// The seal in a footer that begins at this place of its file; one that holds for nothing where it was lost.
fn find(footer: &[u8], start: u64) -> Option<Seal> {
    let Some(at) = place(footer) else {
        let mut parts = footer.windows(CREATED_BY_MARK.len());
        let lost = parts.any(|part| part == CREATED_BY_MARK);
        return lost.then_some(Seal { at: start, sums: None });
    };
    let digits = std::str::from_utf8(&footer[at..at + DIGITS]).ok();
    // As they are written alone: a changed bit may make a capital letter.
    let sums = digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok().map(|sums| (digits, sums)))
        .filter(|(digits, sums)| format!("{sums:016x}") == *digits)
        .map(|(_, sums)| sums);
    Some(Seal { at: start + at as u64, sums })
}

/// Puts the checksums into the last part of a file, behind its pages, which `pages` has seen.
pub fn seal(mut pages: Hasher, tail: &mut [u8]) -> Result<()> {
    let at = place(tail).ok_or_else(|| LakeError::Damaged("a file without checksums".into()))?;
    let mut alone = Hasher::new();
    alone.update(&tail[..at]);
    alone.update(&tail[at + DIGITS..]);
    let alone = format!("{:08x}", alone.finalize());
    tail[at + WHOLE_DIGITS..at + DIGITS].copy_from_slice(alone.as_bytes());
    pages.update(&tail[..at]);
    pages.update(&tail[at + WHOLE_DIGITS..]);
    let whole = format!("{:08x}", pages.finalize());
    tail[at..at + WHOLE_DIGITS].copy_from_slice(whole.as_bytes());
    Ok(())
}

/// Whether the part of a file behind its pages, which begins at `start`, is what was written; none where
/// nobody can tell.
pub fn tail_holds(tail: &[u8], start: u64) -> Option<bool> {
    let mut check = Check::new(find(tail, start)?, start, DIGITS);
    check.update(tail);
    Some(check.seal.sums.is_some_and(|sums| sums as u32 == check.hasher.finalize()))
}

/// Whether a footer has checksums.
pub fn is_sealed(metadata: &ParquetMetaData) -> bool {
    let pairs = metadata.file_metadata().key_value_metadata();
    pairs.is_some_and(|pairs| pairs.iter().any(|pair| pair.key == KEY))
}

/// Where the pages of a file end.
pub fn pages_end(metadata: &ParquetMetaData) -> u64 {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let ends = columns.map(|column| {
        let (start, length) = column.byte_range();
        start.saturating_add(length)
    });
    ends.max().unwrap_or(4)
}

/// Compares a file with its checksum while it is read from its start.
#[derive(Debug)]
pub struct Check {
    seal: Seal,
    /// How many of its digits are not looked at.
    without: usize,
    at: u64,
    hasher: Hasher,
}

impl Check {
    fn new(seal: Seal, at: u64, without: usize) -> Check {
        Check { seal, without, at, hasher: Hasher::new() }
    }

    /// Of a file that is read from its start then; none where it has no checksum.
    pub fn of(file: &mut (impl Read + Seek)) -> std::io::Result<Option<Check>> {
        let size = file.seek(SeekFrom::End(0))?;
        let mut end = [0; END_BYTES as usize];
        if size <= END_BYTES {
            file.seek(SeekFrom::Start(0))?;
            return Ok(None);
        }
        file.seek(SeekFrom::Start(size - END_BYTES))?;
        file.read_exact(&mut end)?;
        let seal = match footer_start(&end, size) {
            None => None,
            Some(start) => {
                file.seek(SeekFrom::Start(start))?;
                let mut footer = Vec::new();
                file.read_to_end(&mut footer)?;
                find(&footer, start)
            }
        };
        file.seek(SeekFrom::Start(0))?;
        Ok(seal.map(|seal| Check::new(seal, 0, WHOLE_DIGITS)))
    }

    /// Takes in the bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        let cut = |place: u64| {
            let ahead = place.saturating_sub(self.at);
            usize::try_from(ahead).unwrap_or(usize::MAX).min(bytes.len())
        };
        let (before, after) = (cut(self.seal.at), cut(self.seal.at + self.without as u64));
        self.hasher.update(&bytes[..before]);
        self.hasher.update(&bytes[after..]);
        self.at += bytes.len() as u64;
    }

    /// Whether the whole file, which was taken in, is what was written.
    pub fn holds(self) -> bool {
        let found = self.hasher.finalize();
        self.seal.sums.is_some_and(|sums| (sums >> 32) as u32 == found)
    }
}

/// Where the footer begins of a file of this size that ends so.
fn footer_start(end: &[u8], size: u64) -> Option<u64> {
    let length = end.get(..4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())?;
    let length = u64::from(u32::from_le_bytes(length));
    match end.get(4..) {
        Some(b"PAR1") => size.checked_sub(END_BYTES + length),
        _ => None,
    }
}

/// What is wrong with a Parquet file of this size, if anything is. The footer alone is looked at where it
/// has no checksum.
pub async fn fault(store: &FileStore, path: &Path, size: u64) -> Result<Option<String>> {
    if size <= END_BYTES {
        return Ok(Some("it is no Parquet file".to_string()));
    }
    let end = store.read(path, size - END_BYTES..size).await?;
    let Some(start) = footer_start(&end, size) else {
        return Ok(Some("its end is not that of a Parquet file".to_string()));
    };
    let footer = store.read(path, start..size).await?;
    let Some(seal) = find(&footer, start) else {
        let thrift = &footer[..footer.len() - END_BYTES as usize];
        return Ok(match caught(|| ParquetMetaDataReader::decode_metadata(thrift)) {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic),
        });
    };
    let mut check = Check::new(seal, 0, WHOLE_DIGITS);
    while check.at < size {
        let to = size.min(check.at + READ_BYTES);
        let bytes = store.read(path, check.at..to).await?;
        if bytes.is_empty() {
            break;
        }
        check.update(&bytes);
    }
    Ok((!check.holds()).then(|| "its checksum is another".to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sealed(pages: &[u8]) -> (Vec<u8>, u64) {
        let created_by = CREATED_BY.as_bytes();
        let mut tail = [b"index", KEY.as_bytes(), &VALUE, BLANK.as_bytes(), created_by].concat();
        let mut hasher = Hasher::new();
        hasher.update(pages);
        seal(hasher, &mut tail).unwrap();
        ([pages, &tail].concat(), pages.len() as u64)
    }

    #[test]
    fn every_changed_byte_is_found_however_the_file_is_read() {
        let (file, start) = sealed(b"the pages of a file");
        let holds = |file: &[u8], step: usize| {
            let found = find(&file[start as usize..], start);
            found.map(|seal| {
                let mut check = Check::new(seal, 0, WHOLE_DIGITS);
                file.chunks(step).for_each(|part| check.update(part));
                check.holds()
            })
        };
        for step in [1, 3, 7, 1000] {
            assert_eq!(holds(&file, step), Some(true));
        }
        assert_eq!(tail_holds(&file[start as usize..], start), Some(true));
        let places = (0..file.len()).flat_map(|at| (0..8).map(move |bit| (at, bit)));
        for (at, bit) in places {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            assert_eq!(holds(&changed, 5), Some(false), "{at} {bit}");
            let tail = tail_holds(&changed[start as usize..], start);
            // The first eight digits are of the whole file.
            let whole = find(&file[start as usize..], start).unwrap().at as usize;
            if !(whole..whole + 8).contains(&at) {
                assert_eq!(tail, Some(at < start as usize), "{at} {bit}");
            }
        }
    }
}
