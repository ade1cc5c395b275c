//! Checksums of pages: readers tell by them that a page is not what was written. The library that encodes
//! pages writes none, so they are put into its page headers.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::parquet::arrow::arrow_writer::{
    ArrowColumnChunk, PageKey, PageStore, PageStoreArgs, PageStoreFactory,
};
use datafusion::parquet::column::writer::ColumnCloseResult;
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::writer::SerializedRowGroupWriter;
use parking_lot::Mutex;

/// A field of 32 bits in Thrift's compact protocol whose number is by one greater than the last one's.
const NEXT_FIELD_I32: u8 = 0x15;
/// The field and the longest form of its value: all headers grow alike.
const CHECKSUM_BYTES: usize = 1 + 5;
/// What the type of a dictionary's page is written as.
const DICTIONARY: u8 = 4;

/// A column chunk in the making: each page's header and content, in the order they were made.
#[derive(Debug, Clone, Default)]
pub struct Pages(Arc<Mutex<Blobs>>);

#[derive(Debug, Default)]
struct Blobs {
    all: Vec<Bytes>,
    bytes: usize,
}

impl PageStore for Pages {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let mut blobs = self.0.lock();
        let key = PageKey::new(blobs.all.len() as u64);
        // A header comes before its content.
        if blobs.all.len() % 2 == 1
            && let Some(header) = blobs.all.last_mut()
        {
            *header = with_checksum(header, crc32fast::hash(&value))?;
        }
        blobs.bytes += value.len();
        blobs.all.push(value);
        Ok(key)
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let blob = usize::try_from(key.get())
            .ok()
            .and_then(|index| self.0.lock().all.get_mut(index).map(std::mem::take));
        blob.ok_or_else(|| ParquetError::General(format!("no page {}", key.get())))
    }

    fn memory_size(&self) -> usize {
        self.0.lock().bytes
    }
}

/// Makes the stores of columns, and keeps them until they are asked for.
#[derive(Debug, Default)]
pub struct PageStores(Mutex<Vec<Pages>>);

impl PageStores {
    /// Those made since the last call, in the order of their columns.
    pub fn take(&self) -> Vec<Pages> {
        std::mem::take(&mut self.0.lock())
    }
}

impl PageStoreFactory for PageStores {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        let pages = Pages::default();
        self.0.lock().push(pages.clone());
        Ok(Box::new(pages))
    }
}

/// A page's header with the checksum of its content: the fourth field, behind three numbers.
fn with_checksum(header: &[u8], checksum: u32) -> Result<Bytes> {
    let unknown = || ParquetError::General("a page header of an unknown form".to_string());
    let mut at = 0;
    for _ in 0..3 {
        if header.get(at) != Some(&NEXT_FIELD_I32) {
            return Err(unknown());
        }
        let rest = header.get(at + 1..).unwrap_or_default();
        let length = rest.iter().position(|byte| byte & 0x80 == 0).ok_or_else(unknown)? + 1;
        at += 1 + length;
    }
    // The next field's number is counted from the last one's.
    let next = match header.get(at) {
        Some(next) if next >> 4 >= 2 => next - 0x10,
        _ => return Err(unknown()),
    };
    let mut grown = Vec::with_capacity(header.len() + CHECKSUM_BYTES);
    grown.extend_from_slice(&header[..at]);
    grown.push(NEXT_FIELD_I32);
    let value = checksum.cast_signed();
    let mut zigzag = ((value << 1) ^ (value >> 31)).cast_unsigned();
    for _ in 0..4 {
        grown.push((zigzag & 0x7f) as u8 | 0x80);
        zigzag >>= 7;
    }
    grown.push(zigzag as u8);
    grown.push(next);
    grown.extend_from_slice(&header[at + 1..]);
    Ok(Bytes::from(grown))
}

/// Puts a column chunk into a row group, with places and sizes as the checksums made them.
pub fn append(
    mut chunk: ArrowColumnChunk,
    pages: &Pages,
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
) -> Result<()> {
    let blobs = std::mem::take(&mut *pages.0.lock()).all;
    let headers = blobs.iter().step_by(2).zip(blobs.iter().skip(1).step_by(2));
    let (dictionary, data): (Vec<_>, Vec<_>) =
        headers.partition(|(header, _)| header.get(1) == Some(&DICTIONARY));
    let mut bytes = Vec::with_capacity(blobs.iter().map(Bytes::len).sum());
    let mut starts = Vec::with_capacity(data.len());
    for (header, content) in &dictionary {
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(content);
    }
    let first = signed(bytes.len())?;
    for (header, content) in &data {
        starts.push(bytes.len());
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(content);
    }
    let close = chunk.close_mut();
    let grown = signed(CHECKSUM_BYTES * (blobs.len() / 2))?;
    let metadata = close
        .metadata
        .clone()
        .into_builder()
        .set_dictionary_page_offset((!dictionary.is_empty()).then_some(0))
        .set_data_page_offset(first)
        .set_total_compressed_size(signed(bytes.len())?)
        .set_total_uncompressed_size(close.metadata.uncompressed_size() + grown)
        .build()?;
    let mut offset_index = close.offset_index.take();
    if let Some(index) = &mut offset_index {
        if index.page_locations.len() != starts.len() {
            return Err(ParquetError::General("pages and their places differ".to_string()));
        }
        for (location, start) in index.page_locations.iter_mut().zip(&starts) {
            location.offset = signed(*start)?;
            location.compressed_page_size += CHECKSUM_BYTES as i32;
        }
    }
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: close.rows_written,
        metadata,
        bloom_filter: close.bloom_filter.take(),
        column_index: close.column_index.take(),
        offset_index,
    };
    group.append_column(&Bytes::from(bytes), close)
}

fn signed(bytes: usize) -> Result<i64> {
    i64::try_from(bytes)
        .map_err(|_| ParquetError::General("a column chunk is too long".to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_checksum_goes_before_the_fifth_field() {
        // Type 0, sizes 300 and 20, field 5: a struct.
        let header = [0x15, 0, 0x15, 0xd8, 0x04, 0x15, 40, 0x2c, 7, 0, 0];
        let grown = with_checksum(&header, 1).unwrap();
        let expected =
            [0x15, 0, 0x15, 0xd8, 0x04, 0x15, 40, 0x15, 0x82, 0x80, 0x80, 0x80, 0, 0x1c, 7, 0, 0];
        assert_eq!(grown[..], expected);
        let grown = with_checksum(&header, u32::MAX).unwrap();
        assert_eq!(grown[7..13], [0x15, 0x81, 0x80, 0x80, 0x80, 0]);
        with_checksum(&header[..6], 1).unwrap_err();
        with_checksum(&grown, 1).unwrap_err();
    }
}
